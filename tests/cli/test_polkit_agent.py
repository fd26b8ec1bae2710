# SPDX-License-Identifier: LGPL-2.1-or-later
"""The password agent: started as systemctl does, and stopped when the command ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from nestd.cli.local.polkit_agent import command, polkit_agent, start_time

AGENT = """\
#!/bin/bash
# Stands for pkttyagent: tells how it was started, registers after a while, and waits for its end.
echo "$@" > "$REPORT"
sleep 0.3
echo registered >> "$REPORT"
trap 'echo ended >> "$REPORT"; exit' TERM
eval "exec $4>&-"
while :; do sleep 0.1; done
"""


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    agent = tmp_path / "pkttyagent"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("REPORT", str(tmp_path / "report"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return tmp_path / "report"


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    _, slave = os.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(slave))


def test_it_is_there_while_a_command_runs(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _on_a_terminal(monkeypatch)
    with polkit_agent():
        started, registered = report.read_text().splitlines()
    process = f"--process {os.getpid()},{start_time()}"
    assert started.startswith(f"{process} --notify-fd ")
    assert started.endswith(" --fallback")
    assert registered == "registered"
    assert report.read_text().splitlines()[-1] == "ended"


def test_root_needs_none(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _on_a_terminal(monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with polkit_agent():
        assert not report.exists()


def test_without_a_terminal_nobody_can_be_asked(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with polkit_agent():
            assert not report.exists()


def test_one_that_fails_at_once_is_no_harm(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _on_a_terminal(monkeypatch)
    (report.parent / "pkttyagent").write_text("#!/bin/sh\nexit 127\n")
    with polkit_agent():
        pass
    assert not report.exists()


def test_it_serves_this_very_process() -> None:
    assert command("pkttyagent", 7)[2] == f"{os.getpid()},{start_time()}"
    with open("/proc/self/stat") as file:
        assert str(start_time()) in file.read().split()

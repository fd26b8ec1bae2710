# SPDX-License-Identifier: LGPL-2.1-or-later
"""Suggested commands, written the way nestctl was called."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from nestd.cli import arguments
from nestd.cli.invocation import suggestions

COMMANDS = ("status", "nested", "check-guest", "log")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("To have it: nestctl nested on.", "To have it: X --simulate amd nested on."),
        ("nestctl check-guest FILE.xml", "X --simulate amd check-guest FILE.xml"),
        ("nestctl status; nestctl log show", "X --simulate amd status; X --simulate amd log show"),
        ("sudo nestctl ...", "sudo X nested off 'a b'"),
        ("look with nestctl --standalone status", "look with X --standalone status"),
        ("Ctrl-C ends nestctl only: job 3 goes on.", "Ctrl-C ends nestctl only: job 3 goes on."),
        ("nestctl nestedness", "nestctl nestedness"),
        ("see nestctl(1)", "see nestctl(1)"),
    ],
)
def test_commands_are_written_as_they_work_here(text: str, said: str) -> None:
    whole = ["nested", "off", "a b"]
    suggest = suggestions.suggester("X", ["--simulate", "amd"], whole, COMMANDS)
    assert suggest(text) == said


def test_the_options_that_lead_to_the_same_host() -> None:
    chosen = arguments.parse(["status", "--simulate", "amd", "--root", "/a b"])
    assert suggestions.options(chosen) == ["--simulate", "amd", "--root", "/a b"]
    assert suggestions.options(arguments.parse(["--json"])) == []


def test_the_program_as_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "a b" / "nestctl"
    here.parent.mkdir()
    here.write_text("")
    here.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(here)])
    assert suggestions.called() == shlex.quote(str(here))
    monkeypatch.setenv("PATH", str(here.parent))
    assert suggestions.called() == "nestctl"
    monkeypatch.setattr(sys, "argv", ["/x/nestd/cli/__main__.py"])
    assert suggestions.called() == f"{shlex.quote(sys.executable)} -m nestd.cli"


def test_what_is_adapted_already_stays_as_it_is() -> None:
    suggest = suggestions.suggester("bin/nestctl", ["--simulate", "amd"], [], COMMANDS)
    once = suggest("nestctl nested on")
    assert once == "bin/nestctl --simulate amd nested on"
    assert suggest(once) == once

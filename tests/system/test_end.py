# SPDX-License-Identifier: LGPL-2.1-or-later
"""How nestd exits when it cannot continue: one sentence, no traceback, status 1."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from private_bus import KINDS, private_bus
from running_nestd import running_nestd


@pytest.mark.parametrize("kind", KINDS)
def test_the_bus_is_gone(kind: str, tmp_path: Path) -> None:
    with (
        private_bus(kind) as bus,
        running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd,
    ):
        os.kill(bus.pid, signal.SIGKILL)
        assert nestd.process.wait(timeout=20) == 1
        lines = nestd.log.read_text().splitlines()
        assert "nestd cannot go on" in lines[-1]
        assert "Traceback" not in "".join(lines)


def test_the_name_is_taken(tmp_path: Path) -> None:
    with (
        private_bus("dbus-daemon") as bus,
        running_nestd(bus.address, tmp_path, "--simulate", "intel"),
    ):
        command = [sys.executable, "-m", "nestd", "--bus", bus.address, "--simulate", "intel"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert second.returncode == 1
        [line] = second.stderr.splitlines()
        assert "org.nestd1 is taken by another process" in line


def test_there_is_no_bus(tmp_path: Path) -> None:
    address = f"unix:path={tmp_path}/nothing"
    command = [sys.executable, "-m", "nestd", "--bus", address, "--simulate", "intel"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("ERROR: nestd cannot run: ")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Output that changes in place on a real terminal: watch, countdown, progress; and colours."""

from __future__ import annotations

import gzip
import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
from private_bus import PrivateBus
from run_nestctl import COMMAND, environment, nestctl
from running_nestd import Nestd
from scripted_nestd import Script, scripted_nestd
from terminal import terminal

from nestd.cli.screen import plain

pytestmark = pytest.mark.needs("tmux")


def _variables(bus: PrivateBus, **more: str) -> dict[str, str]:
    path = environment()["PYTHONPATH"]
    return {"PYTHONPATH": path, "DBUS_SYSTEM_BUS_ADDRESS": bus.address, **more}


def test_watch_shows_what_happens_in_place(bus: PrivateBus, intel: Nestd, tmp_path: Path) -> None:
    with terminal(tmp_path, [*COMMAND, "watch"], _variables(bus), lines=40) as screen:
        first = screen.wait_for_text(
            "Nested virtualization is on, and stays on", "Ctrl-C ends this."
        )
        assert "VMs         none running" in first
        intel.start_machine("web1")
        screen.wait_for_text("VMs         1 running: web1")
        assert nestctl(bus.address, "nested", "off", "--when-idle").code == 0
        screen.wait_for_text("Job 1: the reload of kvm_intel waits for web1 (pid 16088)")
        intel.end_machine("web1")
        last = screen.wait_for_text("Job 1: done", "is off, and stays off", "VMs         none")
        # One state on the screen, and below it every event in order.
        assert last.count("Configured") == 1
        events = re.findall(r"^\d\d:\d\d:\d\d  (.*)$", last, re.MULTILINE)
        assert events[0] == "Virtual machine web1 (pid 16088) runs"
        assert events.index("Job 1: unloading") < events.index("Job 1: done")
        assert "kvm_intel: nested runs with N now, was Y" in events
        screen.press("C-c")
        end = screen.wait_for_text("exit code 0")
        assert "Ctrl-C ends this." not in end


def test_watch_sees_nestd_go_and_come_back(bus: PrivateBus, tmp_path: Path) -> None:
    with terminal(tmp_path, [*COMMAND, "watch"], _variables(bus)) as screen:
        screen.wait_for_text("nestd is not running; waiting for it.")
        with scripted_nestd(bus.address, Script()):
            screen.wait_for_text("Nested virtualization is on", "nestd is here")
        screen.wait_for_text("nestd is gone", "waiting for it")


def test_watch_on_a_small_terminal(bus: PrivateBus, tmp_path: Path) -> None:
    with (
        scripted_nestd(bus.address, Script()),
        terminal(tmp_path, [*COMMAND, "watch"], _variables(bus), lines=8) as screen,
    ):
        assert "Nested virtualization is on" in screen.wait_for_text("Module").splitlines()[0]


def test_the_countdown_and_ctrl_c(bus: PrivateBus, tmp_path: Path) -> None:
    script = Script(log_file=tmp_path / "debug.log")
    command = [*COMMAND, "log", "debug", "virtqemud", "--for", "10m", "--preset", "qemu"]
    with (
        scripted_nestd(bus.address, script),
        terminal(tmp_path, command, _variables(bus)) as screen,
    ):
        first = screen.wait_for(lambda text: _countdown(text) is not None)
        assert f"Itgoesto{tmp_path}/debug.log" in "".join(first.split())
        before = _countdown(first)
        assert before is not None
        later = screen.wait_for(lambda text: (_countdown(text) or before) != before)
        after = _countdown(later)
        assert after is not None
        assert after.seconds < before.seconds
        assert after.megabytes >= before.megabytes
        assert later.count("left") == 1
        screen.press("C-c")
        end = screen.wait_for_text("virtqemud has its previous log settings again.", "exit code 0")
        assert _countdown(end) is None
    assert len(script.calls_of("StopDebug")) == 1


class _Countdown(NamedTuple):
    seconds: int
    megabytes: float


def _countdown(screen: str) -> _Countdown | None:
    found = re.search(r"(\d+) min(?: (\d+) s)? left .* ([\d.]+) MB", screen)
    if found is None:
        return None
    seconds = int(found.group(1)) * 60 + int(found.group(2) or 0)
    return _Countdown(seconds, float(found.group(3)))


def test_progress_while_logs_are_collected(bus: PrivateBus, tmp_path: Path) -> None:
    archive = gzip.compress(os.urandom(1_000_000))
    command = [*COMMAND, "log", "collect", "-o", "x.tar.gz"]
    script = Script(archive=archive, archive_pause=0.2)
    with (
        scripted_nestd(bus.address, script),
        terminal(tmp_path, command, _variables(bus)) as screen,
    ):
        during = screen.wait_for(lambda text: re.search(r"Collecting .* kB", text) is not None)
        assert during.count("Collecting") == 1
        end = screen.wait_for_text("x.tar.gz is written: 1.0 MB.", "exit code 0")
        assert "Collecting" not in end
    assert (tmp_path / "x.tar.gz").read_bytes() == archive


def test_colours_are_for_terminals_that_want_them(bus: PrivateBus, tmp_path: Path) -> None:
    with scripted_nestd(bus.address, Script()):
        for name, variables, coloured in (
            ("plain", {}, True),
            ("no-color", {"NO_COLOR": "1"}, False),
        ):
            directory = tmp_path / name
            directory.mkdir()
            with terminal(directory, COMMAND, _variables(bus, **variables)) as screen:
                screen.wait_for_text("exit code 0")
                found = re.findall(r"\x1b\[(?:\d+;)*3[0-7]m", screen.screen(escapes=True))
                assert bool(found) is coloured
        assert "\x1b" not in nestctl(bus.address).out


@pytest.mark.parametrize("columns", [80, 60])
def test_a_suggested_command_can_be_copied_whole(
    bus: PrivateBus, intel: Nestd, tmp_path: Path, columns: int
) -> None:
    with terminal(tmp_path, COMMAND, _variables(bus), lines=60, columns=columns) as screen:
        screen.wait_for_text("exit code")
        lines = screen.joined().splitlines()
    assert f"  {shlex.join(COMMAND)} nested off" in [line.rstrip() for line in lines]


def test_names_of_any_script_keep_columns_straight(
    bus: PrivateBus, intel: Nestd, tmp_path: Path
) -> None:
    for name in ("web1", "数据库", "сервер"):
        intel.start_machine(name)
    with terminal(tmp_path, [*COMMAND, "vms"], _variables(bus), columns=60) as screen:
        screen.wait_for_text("exit code 0")
        shown = [
            plain.width(line[: line.index("qemu-kvm")])
            for line in screen.screen().splitlines()
            if "qemu-kvm" in line
        ]
    piped = nestctl(bus.address, "vms").out.splitlines()
    assert len(shown) == 3
    assert {*shown, *(plain.width(line[: line.index("qemu-kvm")]) for line in piped[1:])} == {
        shown[0]
    }


@pytest.mark.parametrize(
    "arguments", [["--help"], ["status"], ["nested", "off"], ["vms"], ["log", "debug", "--help"]]
)
def test_everything_fits_in_80_columns(
    bus: PrivateBus, intel: Nestd, tmp_path: Path, arguments: list[str]
) -> None:
    """No text of nestctl's own is broken in the middle of a word or a command."""
    intel.start_machine("web1")
    with terminal(tmp_path, [*COMMAND, *arguments], _variables(bus), lines=80) as screen:
        text = screen.wait_for_text("exit code")
    piped = nestctl(bus.address, *arguments)
    # A program prints the name that it was called by.
    said = piped.out + piped.err
    if "--help" not in arguments:
        said = said.replace("  nestctl ", f"  {shlex.join(COMMAND)} ")
    words = said.split()
    shown = text.split()
    assert [word for word in words if word not in shown] == []

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Errors: one sentence, the next step, the exit code; never a traceback."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from private_bus import PrivateBus
from run_nestctl import COMMAND, environment, nestctl, nestctl_program
from scripted_nestd import OWN, Script, scripted_nestd

from nestd.cli.service.errors import Exit, explain
from nestd.dbus.connection import wire
from nestd.dbus.connection.wire import BusError

STANDARD = "org.freedesktop.DBus.Error."


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (OWN + "Busy", Exit.BLOCKED),
        (OWN + "Inhibited", Exit.BLOCKED),
        (OWN + "InvalidParameter", Exit.USAGE),
        (OWN + "InvalidFilter", Exit.USAGE),
        (OWN + "RolledBack", Exit.FAILED),
        (OWN + "NotSupported", Exit.FAILED),
        (wire.ACCESS_DENIED, Exit.NOT_AUTHORIZED),
        (wire.AUTH_REQUIRED, Exit.NOT_AUTHORIZED),
        (wire.SERVICE_UNKNOWN, Exit.NOT_REACHABLE),
        (wire.NO_REPLY, Exit.NOT_REACHABLE),
        (STANDARD + "Spawn.ChildExited", Exit.NOT_REACHABLE),
        ("com.example.Odd", Exit.FAILED),
    ],
)
def test_every_error_has_an_exit_code_and_a_sentence(name: str, code: Exit) -> None:
    told = explain(BusError(name, "It does not work."))
    assert told.code is code
    assert told.text.endswith(".")
    assert explain(BusError(name, "")).text.endswith(".")


def test_no_bus() -> None:
    result = nestctl("unix:path=/nonexistent/bus", "status")
    assert result.code == 5
    assert result.err.splitlines() == [
        "nestctl: The system's message bus (D-Bus) cannot be reached: No such file or directory.",
        "Without a system bus, for instance in a container, look with: nestctl --standalone status",
    ]


def test_no_service(bus: PrivateBus) -> None:
    result = nestctl(bus.address, "nested", "on")
    assert result.code == 5
    assert result.err.splitlines() == [
        "nestctl: nestd does not run on this machine.",
        "Start it with: systemctl start nestd",
        "Or look without the service: nestctl --standalone status",
    ]


def test_not_authorized(bus: PrivateBus) -> None:
    refusal = BusError(wire.ACCESS_DENIED, "Not authorized: org.nestd1.reload-modules is denied.")
    with scripted_nestd(bus.address, Script(failures={"SetNested": refusal})):
        result = nestctl(bus.address, "nested", "on")
    assert result.code == 4
    assert result.err.splitlines()[0] == (
        "nestctl: Not authorized: org.nestd1.reload-modules is denied."
    )
    assert "sudo nestctl" in result.err


def test_changes_carry_the_leave_to_prompt_and_reading_does_not(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script()) as script:
        nestctl(bus.address, "nested", "on")
        nestctl(bus.address, "validate")
    assert [call.interactive for call in script.calls_of("SetNested")] == [True]
    assert [call.interactive for call in script.calls_of("Validate")] == [False]


@pytest.mark.parametrize(
    ("state", "nested", "following", "headline"),
    [
        ("builtin", "yes", "default", "is on. kvm_intel is built into this kernel."),
        ("config-error", "no", "invalid", "is off, but the next load of kvm_intel will fail."),
        ("not-loaded", "unknown", "yes", "is not in use: kvm_intel is not loaded, and on once"),
        ("missing", "unknown", "default", "is not available: no KVM module here suits"),
        ("a-state-of-later-versions", "yes", "no", "is on now, and will be off after a reboot."),
    ],
)
def test_every_state_has_words(
    bus: PrivateBus, state: str, nested: str, following: str, headline: str
) -> None:
    script = Script(state=state, nested=nested, nested_next=following)
    with scripted_nestd(bus.address, script):
        result = nestctl(bus.address)
    assert result.code == 0
    assert result.out.startswith(f"Nested virtualization {headline}")


def test_a_load_that_would_fail_although_nothing_is_assigned_has_a_cause_to_look_up(
    bus: PrivateBus,
) -> None:
    with scripted_nestd(bus.address, Script(state="config-error")):
        assert "stops modprobe: nestctl validate names it." in nestctl(bus.address).out


def test_the_developers_switch_shows_where_it_happened(bus: PrivateBus) -> None:
    result = nestctl(bus.address, "--traceback", "status")
    assert "Traceback" in result.err
    assert "Traceback" not in nestctl(bus.address, "status").err


def test_a_reader_that_has_seen_enough(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(findings=[("x", "pass", "y" * 99, "")] * 9999)):
        done = subprocess.run(
            ["sh", "-c", 'trap "" PIPE; "$@" | head -1', "sh", *COMMAND, "validate"],
            env=environment(DBUS_SYSTEM_BUS_ADDRESS=bus.address),
            capture_output=True,
            text=True,
            cwd="/",
        )
    assert done.stdout == f"pass  {'y' * 99}\n"
    assert done.stderr == ""


def test_without_rich_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('no rich', name='rich')\n")
    path = environment()["PYTHONPATH"]
    result = nestctl_program("status", PYTHONPATH=f"{tmp_path}:{path}")
    assert result.code == 1
    assert result.err.splitlines() == [
        "nestctl: The Python package rich is not installed.",
        "Install it: python3-rich, or pip install 'nestd[cli]'",
    ]

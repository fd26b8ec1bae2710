# SPDX-License-Identifier: LGPL-2.1-or-later
"""Errors: one sentence, the next step, the exit code; never a traceback."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from private_bus import PrivateBus
from run_nestctl import COMMAND, environment, nestctl
from running_nestd import Nestd
from scripted_nestd import OWN, Script, scripted_nestd

from nestd.cli.service.errors import Exit, explain
from nestd.dbus import errors
from nestd.dbus.errors import BusError

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
        (errors.ACCESS_DENIED, Exit.NOT_AUTHORIZED),
        (errors.AUTH_REQUIRED, Exit.NOT_AUTHORIZED),
        (errors.SERVICE_UNKNOWN, Exit.NOT_REACHABLE),
        (errors.NO_REPLY, Exit.NOT_REACHABLE),
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
        "Without a system bus, for instance in a container, look with:",
        "  nestctl --standalone status",
    ]


def test_no_service(bus: PrivateBus) -> None:
    result = nestctl(bus.address, "nested", "on")
    assert result.code == 5
    assert result.err.splitlines() == [
        "nestctl: nestd does not run on this machine.",
        "Start it:",
        "  systemctl start nestd",
        "Or look without the service:",
        "  nestctl --standalone status",
    ]


def test_not_authorized(bus: PrivateBus) -> None:
    refusal = BusError(errors.ACCESS_DENIED, "Not authorized: org.nestd1.reload-modules is denied.")
    with scripted_nestd(bus.address, Script(failures={"SetNested": refusal})):
        result = nestctl(bus.address, "nested", "on")
    assert result.code == 4
    assert result.err.splitlines()[0] == (
        "nestctl: Not authorized: org.nestd1.reload-modules is denied."
    )
    assert result.err.splitlines()[-1] == "  sudo nestctl nested on"


def test_changes_allow_a_prompt_and_reading_does_not(bus: PrivateBus) -> None:
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
        (
            "not-loaded",
            "unknown",
            "yes",
            "is not in use: kvm_intel is not loaded. It will be on once",
        ),
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
        assert "stops modprobe. To see which line: nestctl validate" in nestctl(bus.address).out


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


def test_without_rich_a_terminal_gets_plain_lines(bus: PrivateBus, tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('no rich', name='rich')\n")
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    with scripted_nestd(bus.address, Script()):
        shown = _on_a_pseudo_terminal("status", PYTHONPATH=path, bus=bus)
    assert shown.startswith("Nested virtualization is on")
    assert "\x1b" not in shown


def test_nothing_of_rich_is_loaded_for_a_pipe(bus: PrivateBus) -> None:
    code = (
        "import sys; from nestd.cli.main import main; status = main(['status', '--json']);"
        "sys.exit(any(each.split('.')[0] == 'rich' for each in sys.modules) or status)"
    )
    with scripted_nestd(bus.address, Script()):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(DBUS_SYSTEM_BUS_ADDRESS=bus.address),
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stderr) == (0, "")


def _on_a_pseudo_terminal(*arguments: str, bus: PrivateBus, **variables: str) -> str:
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment(DBUS_SYSTEM_BUS_ADDRESS=bus.address, **variables),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # a pseudo-terminal ends with EIO
            while part := screen.read(4096):
                shown += part
        assert process.wait() == 0, shown
    return shown.decode()


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["describe"], ["help"]])
@pytest.mark.parametrize(
    ("redirection", "said"),
    [(">/dev/full", "No space left on device"), (">&-", "it is closed")],
)
def test_output_that_cannot_be_written(
    bus: PrivateBus, arguments: list[str], redirection: str, said: str
) -> None:
    with scripted_nestd(bus.address, Script()):
        done = subprocess.run(
            ["sh", "-c", f'"$@" {redirection}', "sh", *COMMAND, *arguments],
            env=environment(DBUS_SYSTEM_BUS_ADDRESS=bus.address),
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
    assert done.returncode == 1
    assert done.stderr == f"nestctl: The output cannot be written: {said}.\n"


@pytest.mark.parametrize("before", [True, False])
def test_a_refusal_as_json(bus: PrivateBus, intel: Nestd, before: bool) -> None:
    intel.start_machine("web1")
    words = ["nested", "off"]
    result = nestctl(bus.address, *(["--json", *words] if before else [*words, "--json"]))
    assert (result.code, result.err) == (3, "")
    [blocker] = json.loads(result.out)["error"].pop("blockers")
    assert blocker["pid"] > 0
    assert json.loads(result.out) == {
        "error": {
            "name": "org.nestd1.Error.Busy",
            "text": f"kvm_intel is in use by machine web1 (pid {blocker['pid']}).",
            "blockers": [
                {
                    "kind": "machine",
                    "name": "web1",
                    "pid": blocker["pid"],
                    "detail": "virtual machine of qemu-kvm in machine-qemu-web1.scope",
                }
            ],
        }
    }


def test_other_failures_as_json(bus: PrivateBus) -> None:
    refusal = BusError(OWN + "RolledBack", "kvm_intel runs as before.")
    with scripted_nestd(bus.address, Script(failures={"SetNested": refusal})):
        failed = nestctl(bus.address, "nested", "on", "--json")
    nowhere = nestctl("unix:path=/nonexistent/bus", "status", "--json")
    absent = nestctl(bus.address, "status", "--json")
    usage = nestctl(bus.address, "check-guest", "/", "--json")
    assert failed.code == 1
    assert json.loads(failed.out)["error"] == {
        "name": OWN + "RolledBack",
        "text": "kvm_intel runs as before.",
        "blockers": [],
    }
    for result, code, name in (
        (nowhere, 5, errors.DISCONNECTED),
        (absent, 5, errors.SERVICE_UNKNOWN),
        (usage, 2, errors.INVALID_ARGS),
    ):
        assert (result.code, json.loads(result.out)["error"]["name"]) == (code, name)
        assert result.err == ""

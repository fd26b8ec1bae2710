# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service under systemd: boot, activation, crash, hang, reload, stop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

import pytest
from container import Container, wait_for

from nestd.core.journal_events import Event

pytestmark = pytest.mark.nspawn

SETTINGS = "/etc/nestd/nestd.conf"
MAY_BE_HELD_UP = 20.0
PROPERTY = ("busctl", "get-property", "org.nestd1", "/org/nestd1", "org.nestd1.Manager", "Vendor")
START_LIMIT_MS = 3000  # on a busy machine
MEMORY_LIMIT_KIB = 48 << 10


def test_active_after_boot_by_preset(machine: Container) -> None:
    assert machine.property("UnitFileState") == "enabled"
    assert machine.property("ActiveState") == "active"
    assert machine.property("NRestarts") == "0"
    assert machine.property("StatusText") == "Serving org.nestd1"


def test_the_bus_starts_it_when_stopped(machine: Container) -> None:
    machine.output("systemctl", "stop", "nestd")
    assert machine.property("ActiveState") == "inactive"
    assert machine.property("Result") == "success"
    assert machine.output(*PROPERTY, user="somebody") == 's "intel"\n'
    assert machine.property("ActiveState") == "active"


def test_restarted_after_sigkill(machine: Container) -> None:
    before = machine.property("MainPID")
    machine.output("kill", "-KILL", before)
    assert wait_for(lambda: _is_another(machine, before), MAY_BE_HELD_UP)
    assert machine.output(*PROPERTY) == 's "intel"\n'


def test_watchdog_bites_on_sigstop(machine: Container) -> None:
    path = "/run/systemd/system/nestd.service.d/watchdog.conf"
    machine.write(path, "[Service]\nWatchdogSec=2s\n")
    machine.output("systemctl", "daemon-reload")
    machine.output("systemctl", "restart", "nestd")
    before = machine.property("MainPID")
    machine.output("kill", "-STOP", before)
    bitten = wait_for(lambda: _is_another(machine, before), MAY_BE_HELD_UP)
    machine.file(path).unlink()
    machine.output("systemctl", "daemon-reload")
    assert bitten
    journal = machine.output("journalctl", "--unit=nestd", f"_PID={before}", "+", "_PID=1")
    assert "Watchdog timeout" in journal
    assert "Fatal Python error: Aborted" in journal, "where it hung"


def test_reload_reads_the_settings_and_leaves_the_process(machine: Container) -> None:
    process = machine.property("MainPID")

    def search() -> str:
        return machine.output("journalctl", "--quiet", "--output=json", "NESTD_KEY=frequency")

    assert search() == ""
    with _settings(machine, "on_drift = report\n\nfrequency = 7\n"):
        machine.output("systemctl", "reload", "nestd")
        # systemctl waits until the signal is sent, not for its effect.
        assert wait_for(lambda: search() != "", MAY_BE_HELD_UP)
    entry = json.loads(search())
    expected = {
        "MESSAGE": f'{SETTINGS}:3: "frequency": there is no such key',
        "MESSAGE_ID": Event.SETTINGS_WRONG.message_id,
        "NESTD_FILE": SETTINGS,
        "NESTD_LINE": "3",
        "PRIORITY": "4",
        "_PID": process,
    }
    assert expected.items() <= entry.items()
    assert machine.output(*PROPERTY) == 's "intel"\n'
    assert machine.property("MainPID") == process


def test_wrong_settings_are_reported_with_catalog_entry(machine: Container) -> None:
    with _settings(machine, "on_drift = panic\n"):
        machine.output("systemctl", "restart", "nestd")
        found = machine.output("journalctl", "--catalog", "NESTD_KEY=on_drift")
    assert f'{SETTINGS}:1: "on_drift"' in found
    assert "The default is used instead" in found


def test_log_level_can_be_changed(machine: Container) -> None:
    machine.output("systemctl", "service-log-level", "nestd", "debug")
    assert machine.output("systemctl", "service-log-level", "nestd") == "debug\n"
    machine.output("systemctl", "service-log-level", "nestd", "info")


def test_start_and_memory(
    machine: Container, record_testsuite_property: Callable[[str, object], None]
) -> None:
    starts = sorted(_start_milliseconds(machine) for _ in range(3))
    status = machine.file(f"/proc/{machine.property('MainPID')}/status").read_text()
    memory = next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    record_testsuite_property("start", f"{starts[1]} ms")
    record_testsuite_property("RSS", f"{memory} kB")
    assert starts[0] < START_LIMIT_MS
    assert memory < MEMORY_LIMIT_KIB


@contextmanager
def _settings(machine: Container, text: str) -> Iterator[None]:
    """nestd.conf contains TEXT meanwhile."""
    file = machine.file(SETTINGS)
    before = file.read_text()
    file.write_text(text)
    try:
        yield
    finally:
        file.write_text(before)
        machine.output("systemctl", "reload", "nestd")


def _start_milliseconds(machine: Container) -> int:
    machine.output("systemctl", "restart", "nestd")
    begin = int(machine.property("InactiveExitTimestampMonotonic"))
    return (int(machine.property("ActiveEnterTimestampMonotonic")) - begin) // 1000


def _is_another(machine: Container, before: str) -> bool:
    active = machine.property("ActiveState") == "active"
    return active and machine.property("MainPID") not in ("0", before)

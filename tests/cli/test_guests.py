# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl guests and vms, on a service with scripted answers."""

from __future__ import annotations

import json
import signal

from private_bus import PrivateBus
from run_nestctl import nestctl, start_nestctl
from scripted_nestd import OWN, Script, scripted_nestd

from nestd.dbus import errors
from nestd.dbus.errors import BusError

QUIET = {"pid": 7, "name": "web1", "vmm": "qemu", "unit": "", "exposed": "yes", "exposed_by": "x"}
QUIET |= {"nesting": "not-used", "nested_runs": 0, "nesting_by": "x"}
BUSY = {**QUIET, "pid": 8, "name": "lab", "nesting": "used", "nested_runs": 5}
OTHER = {"pid": 9, "name": "vm", "vmm": "firecracker", "unit": "", "exposed": "unknown"}
OTHER |= {"exposed_by": "no command line tells", "nesting": "unknown", "nesting_by": "no count"}
MACHINES = [(7, "web1", "qemu", ""), (8, "lab", "qemu", "")]


def test_guests_and_why_an_answer_is_not_known(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(guests=[QUIET, BUSY, OTHER])):
        result = nestctl(bus.address, "guests")
        document = json.loads(nestctl(bus.address, "guests", "--json").out)
    assert result.code == 0
    assert result.out.splitlines() == [
        "NAME  PID  VMM          HAS NESTING  GUESTS OF ITS OWN",
        "lab   8    qemu         yes          used",
        "vm    9    firecracker  unknown      unknown",
        "web1  7    qemu         yes          not-used",
    ]
    assert result.err.splitlines() == [
        "vm: whether it has nesting is not known: no command line tells",
        "vm: whether it has run guests of its own is not known: no count",
    ]
    assert document["guests"][0]["name"] == "lab"
    assert document["guests"][0]["nesting"] == "used"


def test_watch_tells_by_the_growing_count_who_runs_one_now(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(guests=[QUIET, BUSY])):
        process = start_nestctl("guests", "--watch", DBUS_SYSTEM_BUS_ADDRESS=bus.address)
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in range(8)]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert lines[1] == ["lab", "8", "qemu", "yes", "used"]
    assert lines[5] == ["lab", "8", "qemu", "yes", "runs", "one", "now"]
    assert lines[6] == ["web1", "7", "qemu", "yes", "not-used"]


def test_a_service_of_version_1_0_lists_machines(bus: PrivateBus) -> None:
    unknown = BusError(errors.UNKNOWN_METHOD, "no such method")
    script = Script(machines=MACHINES, failures={"ListGuests": unknown})
    with scripted_nestd(bus.address, script):
        result = nestctl(bus.address, "guests")
    assert result.code == 0
    assert result.out.splitlines()[1].split() == ["lab", "8", "qemu", "unknown", "unknown"]


def test_no_machine_and_a_failure(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script()):
        assert nestctl(bus.address, "guests").out == "No KVM virtual machine runs.\n"
    refusal = BusError(OWN + "NotSupported", "This cannot be told here.")
    with scripted_nestd(bus.address, Script(failures={"ListGuests": refusal})):
        result = nestctl(bus.address, "guests")
    assert (result.code, result.err) == (1, "nestctl: This cannot be told here.\n")


def test_machines_that_may_be_more(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(machines=MACHINES[:1], machines_known=False)):
        vms = nestctl(bus.address, "vms")
        status = nestctl(bus.address, "status").out
    assert vms.out.splitlines()[1].split() == ["web1", "7", "qemu", "-"]
    assert vms.err == "There may be more: nestd may not look at other users' processes.\n"
    assert "at least 1: web1 (nestd may not look at other users' processes)" in status
    with scripted_nestd(bus.address, Script(machines_known=False)):
        assert nestctl(bus.address, "vms").out == ""
        assert "VMs         not known" in nestctl(bus.address, "status").out

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.ListGuests and the signals of machines and inhibitors, over D-Bus."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from private_bus import PrivateBus
from running_nestd import BUS_NAME, MANAGER, ROOT, Client, Nestd, on_host

from nestd.dbus.connection.transport import Connection
from nestd.dbus.values import Signal, Variant

KEYS = {
    "pid": "u",
    "name": "s",
    "vmm": "s",
    "unit": "s",
    "exposed": "s",
    "exposed_by": "s",
    "nesting": "s",
    "nested_runs": "t",
    "nesting_by": "s",
}


async def list_guests(client: Client) -> list[dict[str, Variant]]:
    [found] = await client.call(ROOT, MANAGER, "ListGuests")
    return cast("list[dict[str, Variant]]", found)


@pytest.mark.parametrize("vendor", ["intel", "amd", "power", "s390"])
def test_each_machine_with_all_keys(vendor: str, bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        assert await list_guests(client) == []
        nestd.start_machine("web1")
        nestd.start_machine("web2")
        await client.wait_for_property(ROOT, "MachineCount", 2)
        [machines] = await client.call(ROOT, MANAGER, "ListMachines")
        guests = await list_guests(client)
        as_machines = [
            tuple(each[key].value for key in ("pid", "name", "vmm", "unit")) for each in guests
        ]
        assert as_machines == machines
        for each in guests:
            assert {key: variant.signature for key, variant in each.items()} == KEYS
            assert each["exposed"].value in ("yes", "no", "unknown")
            assert each["nesting"].value in ("used", "not-used", "unknown")
            assert each["exposed_by"].value
            assert each["nesting_by"].value

    on_host(bus, tmp_path, vendor, test)


def test_anybody_may_ask_whether_all_machines_are_known(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        assert await client.get(ROOT, MANAGER, "MachinesKnown") is True

    on_host(bus, tmp_path, "amd", test)


def is_signal(name: str) -> Callable[[Signal], bool]:
    def matches(signal: Signal) -> bool:
        return (signal.interface, signal.member, signal.args) == (MANAGER, name, ())

    return matches


def test_a_machine_that_takes_anothers_place_is_announced(bus: PrivateBus, tmp_path: Path) -> None:
    """MachineCount is the same before and after it."""

    async def test(client: Client, nestd: Nestd) -> None:
        changed = is_signal("MachinesChanged")
        nestd.start_machine("web1")
        await client.wait_for(changed)
        await client.wait_for_property(ROOT, "MachineCount", 1)
        await asyncio.sleep(0.2)
        client.signals.clear()
        machines = nestd.root / "simulated/machines"
        os.rename(machines / "web1", machines / "web2")
        await client.wait_for(changed)
        await client.set_nested("kvm_intel", True, "boot")
        await asyncio.sleep(0.2)
        client.signals.clear()
        await client.set_nested("kvm_intel", False, "boot")
        await client.wait_for(lambda signal: signal.member == "PropertiesChanged")
        assert not [each for each in client.signals if each.member == "MachinesChanged"]

    on_host(bus, tmp_path, "intel", test)


def test_inhibitors_that_come_and_go_are_announced(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        changed = is_signal("InhibitorsChanged")
        connection = await Connection.connect(nestd.address, take_descriptors=True)
        [guard] = await connection.call(
            BUS_NAME, ROOT, MANAGER, "Inhibit", "ss", ["a test", "to see"], take_descriptor=True
        )
        await client.wait_for(changed)
        client.signals.clear()
        os.close(cast("int", guard))
        await client.wait_for(changed)
        assert await client.call(ROOT, MANAGER, "ListInhibitors") == ([],)

    on_host(bus, tmp_path, "intel", test)


@pytest.mark.parametrize("vendor", ["intel", "amd", "power", "s390"])
def test_posture_has_findings_of_validates_shape(
    vendor: str, bus: PrivateBus, tmp_path: Path
) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        [found] = await client.call(ROOT, MANAGER, "Posture")
        findings = {each[0]: each[1:] for each in cast("list[tuple[str, ...]]", found)}
        assert {"nested", "device", "exposed-guests", "using-guests", "cve-data"} <= set(findings)
        assert {each[0] for each in findings.values()} <= {"pass", "note", "warn", "fail"}

    on_host(bus, tmp_path, vendor, test)

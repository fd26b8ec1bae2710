# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.ListHistory: what was asked, how it ended, what others did; and taking a change back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from private_bus import PrivateBus
from running_nestd import MANAGER, MODULE, ROOT, Client, Nestd, client_of, on_host, running_nestd

from nestd.dbus.connection.wire import BusError

LOG_DAEMON = "org.nestd1.LogDaemon"
INTEL = f"{ROOT}/module/kvm_intel"
QEMU = f"{ROOT}/log/virtqemud"


async def entries(client: Client) -> list[dict[str, object]]:
    [found] = await client.call(ROOT, MANAGER, "ListHistory")
    assert isinstance(found, list)
    return [{key: value.value for key, value in each.items()} for each in found]


async def seen(client: Client) -> list[tuple[object, ...]]:
    return [(each["kind"], each["subject"], each["result"]) for each in await entries(client)]


def test_each_kind_of_event(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        nestd.start_machine("web1")
        await client.wait_for_property(ROOT, "MachineCount", 1)
        with pytest.raises(BusError):
            await client.set_nested("kvm_intel", False, "now")
        job = await client.set_nested("kvm_intel", False, "idle")
        nestd.end_machine("web1")
        assert await client.wait_for_job_end(job) == "done"
        await client.call(INTEL, MODULE, "Reload", "sa{sv}", "now", {})
        await client.call(QEMU, LOG_DAEMON, "SetFilters", "ssa{sv}", "1:qemu", "now", {})
        await client.call(QEMU, LOG_DAEMON, "StartDebug", "sua{sv}", "qmp", 60, {})
        (nestd.root / "etc/modprobe.d/local.conf").write_text("options kvm_intel nested=1\n")
        while (await seen(client))[0][0] != "foreign":
            await asyncio.sleep(0.05)
        assert await seen(client) == [
            ("foreign", "kvm_intel", "done"),
            ("debug", "virtqemud", "done"),
            ("logs", "virtqemud", "done"),
            ("reload", "kvm_intel", "done"),
            ("reload", "kvm_intel", "done"),
            ("change", "kvm_intel", "done"),
            ("change", "kvm_intel", "refused"),
        ]
        refused = (await entries(client))[-1]
        assert (refused["uid"], refused["asked"]) == (0, "nested=0 (now)")
        assert "web1" in str(refused["error"])
        [document] = await client.call(ROOT, MANAGER, "Describe")
        assert json.loads(str(document))["totals"]["reload"] == {"done": 2}

    on_host(bus, tmp_path, "intel", test)


def test_it_outlasts_nestd(bus: PrivateBus, tmp_path: Path) -> None:
    async def change(client: Client, nestd: Nestd) -> None:
        await client.set_nested("kvm_amd", False, "boot")

    async def look(client: Client, nestd: Nestd) -> None:
        assert await seen(client) == [("change", "kvm_amd", "done")]

    with running_nestd(bus.address, tmp_path, "--simulate", "amd") as nestd:

        async def body() -> None:
            async with client_of(nestd) as client:
                await change(client, nestd)

        asyncio.run(body())
        nestd.stop()
    on_host(bus, tmp_path, "amd", look)


def test_the_latest_change_is_taken_back_by_the_same_way(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        before = nestd.kvm_conf.read_bytes()
        await client.set_nested("kvm_intel", False, "now")
        [entry] = await entries(client)
        assert entry["undoable"] is True
        assert entry["before"] == {"nested": ""}
        await client.set_parameters("kvm_intel", entry["before"], "now")  # type: ignore[arg-type]
        assert nestd.kvm_conf.read_bytes() == before
        assert await client.module("kvm_intel", "Nested") == ["yes"]

    on_host(bus, tmp_path, "intel", test)


def test_an_edit_since_is_told(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        await client.call(QEMU, LOG_DAEMON, "SetFilters", "ssa{sv}", "1:qemu", "start", {})
        [entry] = await entries(client)
        assert (entry["before"], entry["undoable"]) == ({"filters": ""}, True)
        file = nestd.root / "etc/libvirt/virtqemud.conf"
        file.write_text(file.read_text() + "# mine\n")
        [entry] = await entries(client)
        assert entry["undoable"] is False

    on_host(bus, tmp_path, "intel", test)

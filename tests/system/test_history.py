# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.ListHistory: requests, their results, changes by others; and undoing a change."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from private_bus import PrivateBus
from running_nestd import MANAGER, MODULE, ROOT, Client, Nestd, client_of, on_host, running_nestd

from nestd.dbus.errors import BusError

LOG_DAEMON = "org.nestd1.LogDaemon"
INTEL = f"{ROOT}/module/kvm_intel"
QEMU = f"{ROOT}/log/virtqemud"
UNREADABLE = "the file was edited: libvirt cannot read it as it is"


async def entries(client: Client) -> list[dict[str, object]]:
    [found] = await client.call(ROOT, MANAGER, "ListHistory")
    assert isinstance(found, list)
    return [{key: value.value for key, value in each.items()} for each in found]


async def seen(client: Client) -> list[tuple[object, ...]]:
    return [(each["kind"], each["subject"], each["result"]) for each in await entries(client)]


async def wait_for_entries(client: Client, count: int) -> list[dict[str, object]]:
    """All entries, once there are that many."""
    for _ in range(600):
        found = await entries(client)
        if len(found) >= count:
            break
        await asyncio.sleep(0.05)
    assert len(found) == count, found
    return found


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


def test_what_others_did_to_the_files_of_libvirt(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        file = nestd.root / "etc/libvirt/virtqemud.conf"
        file.write_text(file.read_text() + 'log_filters = "3:remote"\n')
        await wait_for_entries(client, 1)
        # nestd's own writes are not foreign events, even during a debug session.
        await client.call(QEMU, LOG_DAEMON, "StartDebug", "sua{sv}", "qmp", 60, {})
        await client.call(QEMU, LOG_DAEMON, "SetFilters", "ssa{sv}", "1:qemu", "start", {})
        (nestd.root / "etc/libvirt/virtnetworkd.conf").write_text("max_clients = 7\n")
        await wait_for_entries(client, 4)
        file.write_text("log_filters = [\n")
        found = await wait_for_entries(client, 5)
        assert [(each["kind"], each["subject"], each["asked"]) for each in found] == [
            ("foreign", "/etc/libvirt/virtqemud.conf", UNREADABLE),
            ("foreign", "/etc/libvirt/virtnetworkd.conf", "the file was edited"),
            ("logs", "virtqemud", "filters: 1:qemu (start)"),
            ("debug", "virtqemud", "debug logs for 60 s: qmp"),
            ("foreign", "/etc/libvirt/virtqemud.conf", "the file was edited: filters: 3:remote"),
        ]

    on_host(bus, tmp_path, "intel", test)


def test_a_debug_session_that_ends(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        await client.call(QEMU, LOG_DAEMON, "StartDebug", "sua{sv}", "qmp", 1, {})
        ended, _ = await wait_for_entries(client, 2)
        assert (ended["kind"], ended["subject"]) == ("debug", "virtqemud")
        assert ended["asked"] == "end of the debug logs: its time is over"
        assert "uid" not in ended
        await client.call(QEMU, LOG_DAEMON, "StartDebug", "sua{sv}", "qmp", 60, {})
        await client.call(QEMU, LOG_DAEMON, "StopDebug", "")
        stopped, *_ = await wait_for_entries(client, 4)
        assert (stopped["uid"], stopped["asked"]) == (
            0,
            "end of the debug logs: user 0 asked for it",
        )

    on_host(bus, tmp_path, "intel", test)


def test_what_nestd_loads_and_unloads_is_not_the_doing_of_others(
    bus: PrivateBus, tmp_path: Path
) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        await client.call(INTEL, MODULE, "Unload", "sa{sv}", "now", {})
        await client.call(INTEL, MODULE, "Load", "a{sv}", {})
        await asyncio.sleep(1)  # until a look at the host would have recorded it
        found = await entries(client)
        assert [(each["kind"], each["asked"], each["uid"]) for each in found] == [
            ("reload", "load", 0),
            ("reload", "unload (now)", 0),
        ]
        nestd.start_machine("web1")
        await client.wait_for_property(ROOT, "MachineCount", 1)
        with pytest.raises(BusError):
            await client.call(INTEL, MODULE, "Unload", "sa{sv}", "now", {})
        [job] = await client.call(INTEL, MODULE, "Unload", "sa{sv}", "idle", {})
        nestd.end_machine("web1")
        assert await client.wait_for_job_end(str(job)) == "done"
        found = await wait_for_entries(client, 4)
        assert [(each["result"], each["asked"]) for each in found[:2]] == [
            ("done", "unload when idle"),
            ("refused", "unload (now)"),
        ]

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

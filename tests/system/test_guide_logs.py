# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guide's statements about debug logs (21 to 25), by number, on a host with libvirtd's files.

test_log_daemon.py tests what a real libvirtd does with them.
"""

from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from private_bus import PrivateBus
from running_nestd import MANAGER, ROOT, Client, Nestd, client_of, running_nestd

from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.formats.libvirt.log_presets import preset

LOG_DAEMON = "org.nestd1.LogDaemon"
PATH = f"{ROOT}/log/libvirtd"
GUIDES_FILTERS = "3:remote 4:event 3:util.json 3:rpc"
GUIDES_OUTPUT = "1:file:/var/log/libvirt/libvirt.log"


@pytest.fixture
def nestd(bus: PrivateBus, tmp_path: Path) -> Iterator[Nestd]:
    root = tmp_path / "root"
    for directory in ("etc/libvirt", "usr/sbin", "var/log/libvirt/qemu"):
        (root / directory).mkdir(parents=True)
    (root / "usr/sbin/libvirtd").write_text("")
    (root / "usr/sbin/libvirtd").chmod(0o755)
    (root / "etc/libvirt/libvirtd.conf").write_text('# stock\n#log_filters="1:qemu"\n')
    (root / "var/log/libvirt/libvirtd.log").write_text("of libvirtd\n")
    (root / "var/log/libvirt/qemu/web01.log").write_text("standard error of a machine\n")
    with running_nestd(bus.address, tmp_path) as nestd:
        yield nestd


def run(nestd: Nestd, test: Callable[[Client], Awaitable[None]]) -> None:
    async def body() -> None:
        async with client_of(nestd) as client:
            await test(client)

    asyncio.run(body())


async def set_filters(client: Client, filters: str, when: str) -> None:
    await client.call(PATH, LOG_DAEMON, "SetFilters", "ssa{sv}", filters, when, {})


def test_guide_rows_21_and_23_what_a_support_request_gets(nestd: Nestd, tmp_path: Path) -> None:
    async def collect() -> int:
        connection = await Connection.connect(nestd.address, take_descriptors=True)
        [archive] = await connection.call(
            "org.nestd1", ROOT, MANAGER, "CollectLogs", "a{sv}", [{}], take_descriptor=True
        )
        connection.close()
        assert isinstance(archive, int)
        return archive

    with os.fdopen(asyncio.run(collect()), "rb") as stream:
        os.set_blocking(stream.fileno(), True)
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            names = [member.name.partition("/")[2] for member in archive]
    assert "logs/libvirt/libvirtd.log" in names
    assert "logs/libvirt/qemu/web01.log" in names


def test_guide_row_22_off_by_default_and_three_ways_to_enable(nestd: Nestd) -> None:
    async def test(client: Client) -> None:
        assert await client.get(PATH, LOG_DAEMON, "Filters") == ""
        await set_filters(client, "1:qemu", "start")
        assert await client.get(PATH, LOG_DAEMON, "Filters") == "1:qemu"
        for call in (
            set_filters(client, "1:qemu", "runtime"),
            client.call(PATH, LOG_DAEMON, "StartDebug", "sua{sv}", "qemu", 60, {}),
        ):
            with pytest.raises(BusError) as caught:
                await call
            assert caught.value.name == "org.nestd1.Error.DaemonUnavailable"

    run(nestd, test)


def test_guide_row_24_permanently_in_libvirtd_conf_with_levels_1_to_4(nestd: Nestd) -> None:
    async def test(client: Client) -> None:
        conf = nestd.root / "etc/libvirt/libvirtd.conf"
        for level in range(1, 5):
            await set_filters(client, f"{level}:qemu", "start")
            assert f'log_filters = "{level}:qemu"\n' in conf.read_text()
        for level in ("0", "5", "debug"):
            with pytest.raises(BusError) as caught:
                await set_filters(client, f"{level}:qemu", "start")
            assert caught.value.name == "org.nestd1.Error.InvalidFilter"
        assert 'log_filters = "4:qemu"\n' in conf.read_text()

    run(nestd, test)


def test_guide_row_25_the_guides_example(nestd: Nestd) -> None:
    async def test(client: Client) -> None:
        canonical, warnings = await client.call(
            PATH, LOG_DAEMON, "CheckFilters", "ss", GUIDES_FILTERS, GUIDES_OUTPUT
        )
        assert canonical == GUIDES_FILTERS
        assert warnings == []
        # As in libvirt's guide today: the same filters, and everything else at level 1.
        assert preset("all").filters == f"{GUIDES_FILTERS} 1:*"

    run(nestd, test)

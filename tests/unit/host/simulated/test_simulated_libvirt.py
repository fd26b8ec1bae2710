# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simulated libvirt daemons behave like real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nestd.formats import simulation
from nestd.host.libvirt.daemons import installed, read_process
from nestd.host.libvirt.interface import UnitError
from nestd.host.libvirt.virt_admin import Refused, VirtAdminError
from nestd.host.root import Root
from nestd.host.simulated import libvirt as simulated_libvirt
from nestd.host.simulated.libvirt import SimulatedLibvirt


def run(root: Path, text: str, test: Callable[[SimulatedLibvirt, Root], Awaitable[None]]) -> None:
    async def body() -> None:
        libvirt = SimulatedLibvirt(Root(root), simulation.parse(text))
        try:
            await test(libvirt, Root(root))
        finally:
            libvirt.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("kind", "main", "count"),
    [("intel", "virtqemud", 8), ("s390", "virtqemud", 8), ("power", "libvirtd", 1)],
)
def test_a_fresh_host(tmp_path: Path, kind: str, main: str, count: int) -> None:
    async def test(libvirt: SimulatedLibvirt, root: Root) -> None:
        assert len(installed(root)) == count
        running = [name for name in installed(root) if read_process(root, name)]
        assert running == [main]
        facts = await libvirt.read(main)
        assert (facts.known, facts.listening, facts.program) == (True, True, f"/usr/sbin/{main}")
        assert await libvirt.admin(main).filters() == ""
        assert await libvirt.admin(main).outputs() == "3:journald"

    run(tmp_path, kind, test)


def test_settings_of_a_running_daemon_as_libvirt_reports_them(tmp_path: Path) -> None:
    async def test(libvirt: SimulatedLibvirt, root: Root) -> None:
        admin = libvirt.admin("virtqemud")
        await admin.set_filters("1:qemu 3:remote")
        await admin.set_outputs("1:file:/var/log/libvirt/x.log 3:journald")
        assert await admin.filters() == "1:*qemu* 3:*remote* "
        assert root.at("/var/log/libvirt/x.log").exists()
        with pytest.raises(Refused):
            await admin.set_filters("5:x")
        with pytest.raises(Refused, match="No such file"):
            await admin.set_outputs("1:file:/nowhere/x.log")
        assert await admin.filters() == "1:*qemu* 3:*remote* "
        await libvirt.try_restart("virtqemud")  # settings that are not in its file are lost
        assert await admin.filters() == ""

    run(tmp_path, "intel", test)


def test_one_that_is_idle_cannot_be_asked_and_can_be_started(tmp_path: Path) -> None:
    async def test(libvirt: SimulatedLibvirt, root: Root) -> None:
        assert read_process(root, "virtqemud") is None
        with pytest.raises(VirtAdminError):
            await libvirt.admin("virtqemud").filters()
        root.at("/etc/libvirt/virtqemud.conf").write_text('log_filters = "1:qemu"\n')
        await libvirt.try_restart("virtqemud")
        assert read_process(root, "virtqemud") is None
        await libvirt.start("virtqemud")
        assert read_process(root, "virtqemud") is not None
        assert await libvirt.admin("virtqemud").filters() == "1:*qemu* "

    run(tmp_path, "intel,socket-activated", test)


def test_none_starts_with_a_file_that_libvirt_cannot_read(tmp_path: Path) -> None:
    async def test(libvirt: SimulatedLibvirt, root: Root) -> None:
        assert read_process(root, "libvirtd") is not None  # it was started earlier
        with pytest.raises(UnitError, match="expecting a separator"):
            await libvirt.try_restart("libvirtd")
        assert read_process(root, "libvirtd") is None

    run(tmp_path, "power,libvirt-unreadable", test)


def test_logs_grow_while_debug_messages_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_libvirt, "WRITE_SECONDS", 0.01)

    async def test(libvirt: SimulatedLibvirt, root: Root) -> None:
        admin, log = libvirt.admin("virtqemud"), root.at("/var/log/libvirt/virtqemud.log")
        await admin.set_outputs("1:file:/var/log/libvirt/virtqemud.log")
        await asyncio.sleep(0.1)
        assert log.stat().st_size == 0
        await admin.set_filters("1:qemu")
        while log.stat().st_size < 500:
            await asyncio.sleep(0.01)
        assert ": debug : qemuMonitorIOProcess:" in log.read_text()
        await admin.set_filters("")
        await asyncio.sleep(0.05)
        size = log.stat().st_size
        await asyncio.sleep(0.1)
        assert log.stat().st_size == size

    run(tmp_path, "intel", test)


def test_a_host_that_has_a_daemon_keeps_to_it_and_lives_on(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/libvirtd").touch()

    async def set_up(libvirt: SimulatedLibvirt, root: Root) -> None:
        assert installed(root) == ("libvirtd",)
        await libvirt.admin("libvirtd").set_filters("1:qemu")

    async def again(libvirt: SimulatedLibvirt, root: Root) -> None:
        assert await libvirt.admin("libvirtd").filters() == "1:*qemu* "

    run(tmp_path, "intel", set_up)
    run(tmp_path, "intel", again)

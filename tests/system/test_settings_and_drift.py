# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd.conf at the start and after SIGHUP, and the effect of on_drift on a running host."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from private_bus import PrivateBus
from running_nestd import MODULE, ROOT, SIGNAL_SECONDS, Client, Nestd, client_of, running_nestd

from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import SimulatedKernel

INTEL = f"{ROOT}/module/kvm_intel"


def run(nestd: Nestd, test: Callable[[Client], Awaitable[None]]) -> None:
    async def body() -> None:
        async with client_of(nestd) as client:
            await test(client)

    asyncio.run(body())


def configure(directory: Path, text: str) -> None:
    conf = directory / "root/etc/nestd/nestd.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text(text)


def hang_up(nestd: Nestd) -> list[bytes]:
    """Send SIGHUP; returns the notification to the service manager."""
    nestd.process.send_signal(signal.SIGHUP)
    nestd.notifications.settimeout(SIGNAL_SECONDS)
    told = [nestd.notifications.recv(4096)]
    while b"READY=1" not in told[-1]:
        told.append(nestd.notifications.recv(4096))
    return told


def modprobe_by_hand(nestd: Nestd, nested: str) -> None:
    async def reload() -> None:
        await kernel.unload("kvm_intel")
        await kernel.load("kvm_intel", [("nested", nested)])

    kernel = SimulatedKernel(Root(nestd.root), KINDS["intel"])
    asyncio.run(reload())


def test_everything_wrong_is_reported_and_nestd_serves(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        assert await client.get(INTEL, MODULE, "Nested") == "yes"

    configure(tmp_path, "on_drift = never\nwrong\n[section]\nkey = value\n")
    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
        run(nestd, test)
        lines = nestd.log.read_text().splitlines()
    conf = "WARNING: /etc/nestd/nestd.conf"
    assert f"{conf}:2: cannot be read" in lines
    assert f'{conf}:3: "section": there is no such key' in lines
    assert any(line.startswith(f'{conf}:1: "on_drift": the value "never"') for line in lines)


def test_a_hang_up_reads_the_settings_again(bus: PrivateBus, tmp_path: Path) -> None:
    async def begin(client: Client) -> None:
        await client.set_nested("kvm_intel", True, "boot")

    async def put_right(client: Client) -> None:
        await client.wait_for_property(INTEL, "Nested", "yes")
        await client.wait_for(lambda signal: signal.member == "JobRemoved")

    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
        run(nestd, begin)
        modprobe_by_hand(nestd, "0")
        deadline = time.monotonic() + SIGNAL_SECONDS
        while "nothing is done about it" not in nestd.log.read_text():
            assert time.monotonic() < deadline
        configure(tmp_path, "on_drift = reapply\n")
        reloading, ready = hang_up(nestd)
        assert reloading.startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        started = int(reloading.partition(b"USEC=")[2]) / 1e6
        assert 0 <= time.monotonic() - started < SIGNAL_SECONDS
        assert ready == b"READY=1"
        run(nestd, put_right)
        log = nestd.log.read_text()
    assert "kvm_intel runs with nested=N instead of nested=1" in log
    assert "Job 1 of user 0: kvm_intel was reloaded" in log


def test_a_hang_up_with_a_bad_file_leaves_the_defaults(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        assert await client.get(INTEL, MODULE, "Nested") == "yes"

    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
        (tmp_path / "root/etc/nestd/nestd.conf").mkdir(parents=True)
        for _ in range(3):
            assert len(hang_up(nestd)) == 2
        run(nestd, test)
        assert "nestd.conf: cannot be read: Is a directory" in nestd.log.read_text()
        assert nestd.stop() == 0
        assert b"STOPPING=1" in nestd.notifications.recv(4096)

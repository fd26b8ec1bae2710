# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's events about modules and machines: real ones from KVM, umockdev's for modules."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nestd.core.modules.view import HostView
from nestd.host.kernel import kvm_holders, uevents
from nestd.host.kernel.interface import Change, KernelEvent
from nestd.host.kernel.real import RealKernel
from nestd.host.root import Root

KVM_CREATE_VM = 0xAE01


def create_machine() -> int:
    device = os.open("/dev/kvm", os.O_RDWR)
    try:
        return fcntl.ioctl(device, KVM_CREATE_VM, 0)
    finally:
        os.close(device)


@pytest.fixture(autouse=True)
def _needs_kvm(request: pytest.FixtureRequest) -> None:
    if "umockdev" not in request.node.name and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/kvm")


def listen(body: Callable[[list[KernelEvent]], Awaitable[None]]) -> list[KernelEvent]:
    """The events that arrive while BODY runs."""

    async def run() -> list[KernelEvent]:
        events: list[KernelEvent] = []
        watch = uevents.UeventWatch(events.append)
        try:
            await body(events)
        finally:
            watch.close()
        return events

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 5 s")


def test_machines_are_counted_up_and_down() -> None:
    async def body(events: list[KernelEvent]) -> None:
        machine = create_machine()
        await until(lambda: len(events) >= 1)
        os.close(machine)
        await until(lambda: len(events) >= 2)

    events = [each for each in listen(body) if each.count is not None]
    assert {each.change for each in events} == {Change.MACHINES}
    assert events[1].count == (events[0].count or 0) - 1
    assert events[1].created == events[0].created


def test_lost_events_are_told_once_and_the_next_ones_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uevents, "RECEIVE_BUFFER", 4096)

    async def body(events: list[KernelEvent]) -> None:
        for _ in range(300):  # the event loop reads nothing meanwhile
            os.close(create_machine())
        await until(lambda: any(each.change is Change.LOST for each in events))
        await asyncio.sleep(0.1)
        heard = len(events)
        os.close(create_machine())
        await until(lambda: len(events) > heard)

    events = listen(body)
    assert sum(each.change is Change.LOST for each in events) == 1
    assert len(events) < 600


def test_the_view_follows_within_100_ms() -> None:
    async def body() -> list[float]:
        view = HostView(Root(), RealKernel(Root()), 30, "none")
        told = asyncio.Event()
        view.listen(told.set)
        await view.start()
        await view.machine_count.known()
        loop, delays = asyncio.get_running_loop(), []
        before = view.snapshot().machine_count
        try:
            for expected in (before + 1, before) * 10:
                told.clear()
                started = loop.time()
                if expected > before:
                    machine = create_machine()
                else:
                    os.close(machine)
                while view.snapshot().machine_count != expected:
                    await asyncio.wait_for(told.wait(), 5)
                    told.clear()
                delays.append(loop.time() - started)
        finally:
            view.close()
        return delays

    delays = asyncio.run(body())
    print(f"MachineCount followed after {[round(each * 1000) for each in delays]} ms")
    # The minimum is nestd's own time; anything above it is other load on the machine.
    assert min(delays) < 0.1


def test_a_recount_after_lost_events_gives_the_true_number() -> None:
    async def body() -> tuple[int, int]:
        view = HostView(Root(), RealKernel(Root()), 30, "none")
        await view.start()
        await view.machine_count.known()
        before = view.snapshot().machine_count
        machine = create_machine()
        try:
            view.machine_count.value = 99
            view._on_event(KernelEvent(Change.LOST))
            await until(lambda: view.snapshot().machine_count != 99)
            return before, view.snapshot().machine_count
        finally:
            os.close(machine)
            view.close()

    before, counted = asyncio.run(body())
    assert counted == before + 1


def test_what_the_kernel_tells_during_the_first_count_is_later_than_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, told = threading.Event(), threading.Event()

    def slow_count(root: Root) -> frozenset[str]:
        counting.set()
        assert told.wait(10)
        return frozenset(map(str, range(99)))  # as it was before

    async def body() -> int:
        view = HostView(Root(), RealKernel(Root()), 30, "none")
        await view.start()
        view.machine_count.count_soon()
        assert await asyncio.to_thread(counting.wait, 10)
        view._on_event(KernelEvent(Change.MACHINES, created=10**9, count=3))
        told.set()
        await view.machine_count.known()
        view.close()
        return view.snapshot().machine_count

    monkeypatch.setattr(kvm_holders, "machine_ids", slow_count)
    assert asyncio.run(body()) == 3


def test_samples_that_come_out_of_order_do_not_count() -> None:
    async def body() -> int:
        view = HostView(Root(), RealKernel(Root()), 30, "none")
        for created, count in ((7, 2), (7, 0), (7, 1), (6, 5)):
            view._on_event(KernelEvent(Change.MACHINES, created=created, count=count))
        count = view.snapshot().machine_count
        view.close()
        return count

    assert asyncio.run(body()) == 0


@pytest.mark.needs("umockdev-wrapper", "libumockdev.so.0")
def test_modules_through_umockdev(tmp_path: Path) -> None:
    script = Path(__file__).with_name("umockdev_modules.py")
    command = ["umockdev-wrapper", sys.executable, str(script)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["module:kvm_intel", "module:kvm_intel", "loaded:Y", "gone"]

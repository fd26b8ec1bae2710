# SPDX-License-Identifier: LGPL-2.1-or-later
"""A waiting job uses every moment when nothing uses its module."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from nestd.core.errors import Busy
from nestd.core.model import Blocker, BlockerKind, JobState, When
from nestd.core.reloads.jobs import Job, Jobs
from nestd.core.reloads.transaction import Member, Purpose, Transaction
from nestd.core.reloads.waiting import Waiting

MACHINE = Blocker(BlockerKind.MACHINE, "web01", 7, "")
TRANSACTION = Transaction(
    job=1,
    uid=0,
    when=When.IDLE,
    step=JobState.WAITING,
    members=(Member("kvm_intel", {}, {}),),
    replacement=None,
    module="kvm_intel",
)


@dataclass
class Module:
    """The module's users; a scan for them lasts until it is released."""

    used: bool = True
    found: tuple[Blocker, ...] = (MACHINE,)
    scans: int = 0
    attempts: int = 0
    scanning: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def blockers(self, job: Job) -> tuple[Blocker, ...]:
        self.scans += 1
        found = self.found
        self.scanning.set()
        await self.let_go.wait()
        return found

    async def attempt(self, job: Job) -> None:
        self.attempts += 1
        if self.used:
            raise Busy("in use")

    def start(self) -> Waiting:
        jobs = Jobs()
        waiting = Waiting(jobs, self.attempt, self.blockers, lambda _: self.used)
        job = jobs.new(1, "kvm_intel", 0, JobState.WAITING, Purpose.RELOAD.value, 0)
        waiting.add(job, TRANSACTION)
        return waiting


async def until(condition: object) -> None:
    assert callable(condition)
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come")


def test_a_moment_during_a_scan_is_taken() -> None:
    async def test() -> None:
        module = Module()
        waiting = module.start()
        await module.scanning.wait()
        module.used = False
        waiting.wake()
        await until(lambda: module.attempts == 1)
        assert not module.let_go.is_set()
        await until(lambda: waiting.overlapping(["kvm_intel"]) == [])
        await waiting.close()

    asyncio.run(test())


def test_a_hint_during_a_scan_is_not_lost() -> None:
    """The scan still saw the machine: its memory is still being freed when its end is announced."""

    async def test() -> None:
        module = Module()
        waiting = module.start()
        await module.scanning.wait()
        waiting.wake()
        await asyncio.sleep(0.05)  # checked: still in use
        module.found = ()
        module.let_go.set()
        await until(lambda: module.scans == 2)
        module.used = False  # without any event
        await until(lambda: module.attempts == 1)
        await waiting.close()

    asyncio.run(test())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reloads that wait until nothing uses their module.

There is one waiting job per module or chain of modules; the latest request wins. Kernel events
about virtual machines and modules wake it, and so does the end of an inhibitor. If no event
announces the end of a use (a machine's memory is still being freed, or a process merely has
/dev/kvm open), the reference count is polled at growing intervals.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from nestd.core.errors import Busy, NestdError
from nestd.core.model import Blocker, BlockerKind, JobState
from nestd.core.reloads.jobs import Job, Jobs
from nestd.core.reloads.transaction import Transaction

FREEING_PAUSES = (0.01, 0.02, 0.04)
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
# An event announces their end.
_ANNOUNCED = (BlockerKind.MACHINE, BlockerKind.INHIBITOR)

log = logging.getLogger(__name__)

Attempt = Callable[[Job], Awaitable[None]]
"""Reload now; raises Busy if that is impossible now, other errors if the job has failed."""
Blockers = Callable[[Job], Awaitable[tuple[Blocker, ...]]]
InUse = Callable[[Job], bool]


@dataclass
class _Waiter:
    job: Job
    transaction: Transaction
    hint: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Waiting:
    """The waiting reloads."""

    def __init__(self, jobs: Jobs, attempt: Attempt, blockers: Blockers, in_use: InUse) -> None:
        self._jobs = jobs
        self._attempt = attempt
        self._blockers = blockers
        self._in_use = in_use
        self._waiters: dict[int, _Waiter] = {}  # by job

    def add(self, job: Job, transaction: Transaction) -> None:
        """Make JOB wait for TRANSACTION."""
        waiter = _Waiter(job, transaction)
        self._waiters[job.id] = waiter
        waiter.task = asyncio.create_task(self._wait(waiter))

    def transaction(self, job: Job) -> Transaction | None:
        """The transaction that JOB waits for; None if it is not waiting."""
        waiter = self._waiters.get(job.id)
        return waiter.transaction if waiter else None

    def change(self, job: Job, transaction: Transaction) -> None:
        """Make the waiting JOB wait for TRANSACTION instead."""
        self._waiters[job.id].transaction = transaction
        self._waiters[job.id].hint.set()

    def overlapping(self, modules: Collection[str]) -> list[tuple[Job, Transaction]]:
        """The waiting jobs for any of MODULES, oldest first."""
        return [
            (each.job, each.transaction)
            for each in self._waiters.values()
            if not set(modules).isdisjoint(each.transaction.modules)
        ]

    def cancel(self, job: Job) -> Transaction | None:
        """End JOB's waiting; returns the abandoned transaction."""
        waiter = self._waiters.pop(job.id, None)
        if waiter is None:
            return None
        self._jobs.update(waiter.job, JobState.CANCELLED)
        waiter.hint.set()
        return waiter.transaction

    def wake(self) -> None:
        """Check again, since something may have changed."""
        for waiter in self._waiters.values():
            waiter.hint.set()

    async def close(self) -> None:
        """Stop waiting; the records stay for the next start."""
        tasks = [waiter.task for waiter in self._waiters.values() if waiter.task]
        self._waiters.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, waiter: _Waiter) -> None:
        job, pause, explained = waiter.job, FIRST_PAUSE, False
        while self._waiters.get(job.id) is waiter:
            waiter.hint.clear()
            # A new job shows at once what it waits for.
            in_use = await self._stays_in_use(job) if explained else self._in_use(job)
            if not in_use and await self._try(waiter):
                return
            announced, explained = await self._explain_while_in_use(waiter), True
            if announced is None:
                continue
            if await self._sleep(waiter.hint, None if announced else pause):
                pause = FIRST_PAUSE
            else:
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _stays_in_use(self, job: Job) -> bool:
        """Whether an unload is bound to fail, even after a short wait.

        The kernel announces the end of a machine shortly before it drops the reference, and
        explaining what uses the module (a scan of /proc) takes longer than that.
        """
        for pause in FREEING_PAUSES:
            if not self._in_use(job):
                return False
            await asyncio.sleep(pause)
        return self._in_use(job)

    async def _try(self, waiter: _Waiter) -> bool:
        """Try the job's reload; whether the job is over, with any result."""
        try:
            await self._attempt(waiter.job)
        except Busy:
            return False
        except NestdError:
            pass  # the job's state and error show it
        except Exception:
            log.exception("Job %d ended unexpectedly", waiter.job.id)
        if self._waiters.get(waiter.job.id) is waiter:
            del self._waiters[waiter.job.id]
        return True

    async def _explain_while_in_use(self, waiter: _Waiter) -> bool | None:
        """_explain(), but None as soon as nothing uses the module.

        If machines keep starting and ending, the module may be free for less than a scan takes.
        """
        explaining, hints = asyncio.create_task(self._explain(waiter.job)), 0
        try:
            while not explaining.done():
                hint = asyncio.create_task(waiter.hint.wait())
                await asyncio.wait({explaining, hint}, return_when=asyncio.FIRST_COMPLETED)
                hint.cancel()
                if waiter.hint.is_set():
                    waiter.hint.clear()
                    hints += 1
                    if not self._in_use(waiter.job):
                        return None
            if hints:
                waiter.hint.set()  # the scan may be older than the events
            return explaining.result()
        finally:
            explaining.cancel()

    async def _explain(self, job: Job) -> bool:
        """Publish what JOB waits for; whether an event will announce its end."""
        try:
            found = await self._blockers(job)
        except Exception:
            log.exception("What job %d waits for cannot be determined", job.id)
            return False
        self._jobs.block(job, found)
        return any(each.kind in _ANNOUNCED for each in found)

    async def _sleep(self, hint: asyncio.Event, seconds: float | None) -> bool:
        """Wait at most SECONDS for a hint; whether one came."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(hint.wait(), seconds)
        return hint.is_set()

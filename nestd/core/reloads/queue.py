# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs reloads as jobs, one at a time, now or when idle.

A successful "now" or "boot", and a later "idle", end the jobs that wait for the same module.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace

from nestd.core.blocking import blockers
from nestd.core.blocking.inhibitors import Inhibitor, Inhibitors
from nestd.core.errors import (
    Busy,
    Conflict,
    Inhibited,
    NestdError,
    NotRestored,
    ReloadFailed,
    RolledBack,
    check_ours,
    write_failed,
)
from nestd.core.journal_events import NOTICE, Event, about, not_restored
from nestd.core.model import Blocker, JobState, When
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.obstacles import load_hint
from nestd.core.modules.view import HostView
from nestd.core.reloads import chain
from nestd.core.reloads.execution import UNLOAD_SECONDS, Execution, Gate, Remake
from nestd.core.reloads.jobs import Job, Jobs
from nestd.core.reloads.retry_undo import RetryUndo
from nestd.core.reloads.transaction import Member, Purpose, Transaction
from nestd.core.reloads.waiting import Waiting
from nestd.host.editing.replacement import NotUndone, Replacement
from nestd.host.state.records import Records

_RESULTS: Mapping[type[object], JobState] = {
    type(None): JobState.DONE,
    RolledBack: JobState.ROLLED_BACK,
}
_EVENTS: Mapping[type[object], tuple[int, Event]] = {  # any other error: nothing was touched
    type(None): (NOTICE, Event.RELOAD_DONE),
    RolledBack: (logging.WARNING, Event.RELOAD_ROLLED_BACK),
    ReloadFailed: (logging.ERROR, Event.RELOAD_FAILED),
}

log = logging.getLogger(__name__)

ShutdownDelay = Callable[[], AbstractAsyncContextManager[None]]
"""Held during the seconds in which a module may not be loaded, to delay a shutdown."""


@dataclass(frozen=True)
class Request:
    """What to do with a module and its chain, and the change of the file."""

    module: str
    members: tuple[Member, ...]
    replacement: Replacement | None = None
    remake: Remake | None = None
    purpose: Purpose = Purpose.RELOAD


class Reloads:
    """Runs reloads. Changing a module or its configuration requires the lock."""

    def __init__(
        self, view: HostView, records: Records, shutdown_delay: ShutdownDelay | None = None
    ) -> None:
        self.view = view
        self.records = records
        self.lock = asyncio.Lock()
        self._shutdown_delay = shutdown_delay or AsyncExitStack
        self.is_ours = True  # whether to manage this host: see claim()
        self.jobs = Jobs()
        self.inhibitors = Inhibitors()
        self.waiting = Waiting(self.jobs, self._attempt, self._waits_for, self._in_use)
        self.unfinished = RetryUndo(self._undo)
        view.listen(self.waiting.wake)
        view.listen(self.unfinished.wake)
        self.inhibitors.on_release.append(self.waiting.wake)

    async def close(self) -> None:
        """Let the current job finish, and end the waiting; the records stay."""
        async with self.lock:
            await self.waiting.close()
            await self.unfinished.close()
            self.inhibitors.close()
            self.records.release()

    def claim(self) -> bool:
        """Whether no other nestd, even on another bus, manages this host's modules."""
        self.is_ours = self.records.claim()
        return self.is_ours

    def check_ours(self) -> None:
        """Refuse to act if another nestd manages the host. Raises NotSupported."""
        check_ours(self.is_ours)

    async def blockers(self, module: str) -> tuple[Blocker, ...]:
        """What prevents a reload of MODULE and the modules reloaded with it now."""
        facts = self.view.shared_facts()
        return await self._blockers(facts, (*chain.users(facts, module), module))

    async def _waits_for(self, job: Job) -> tuple[Blocker, ...]:
        transaction = self.waiting.transaction(job)
        modules = () if transaction is None else transaction.modules[::-1]
        return await self._blockers(self.view.facts(), modules) if modules else ()

    async def _blockers(self, facts: HostFacts, modules: Sequence[str]) -> tuple[Blocker, ...]:
        """The same for MODULES that are reloaded together."""
        holders = await self.view.holders()
        found: dict[Blocker, None] = {}
        for running in (facts.modules[name] for name in modules):
            each = blockers.find(running, holders, facts.modules_disabled, modules)
            found.update(dict.fromkeys(each))
        return (*found, *self.inhibitors.blockers())

    def refusal(self, module: str, found: Sequence[Blocker]) -> NestdError:
        """The error for a refused reload of MODULE, given the blockers FOUND."""
        kind = Inhibited if self.inhibitors.list() else Busy
        return kind(blockers.sentence(module, self.view.hidden.blockers(found)))

    async def inhibit(self, inhibitor: Inhibitor) -> int:
        """Inhibit reloads, after any reload in progress; see Inhibitors.add()."""
        async with self.lock:
            return self.inhibitors.add(inhibitor)

    async def start(
        self,
        facts: HostFacts,
        request: Request,
        *,
        when: When,
        uid: int,
    ) -> Job:
        """Carry out REQUEST for the user UID, now or when idle.

        For "now" the job has ended on return; for "idle" it has started to wait. Raises
        Busy, Inhibited or OSError with nothing changed, RolledBack, NotRestored or ReloadFailed.
        """
        first = JobState.WAITING if when is When.IDLE else JobState.UNLOADING
        transaction = Transaction(
            job=await asyncio.to_thread(self.records.next_job),
            module=request.module,
            uid=uid,
            when=when,
            step=first,
            members=request.members,
            replacement=request.replacement,
            purpose=request.purpose,
        )
        if when is When.IDLE:
            return await self._begin_to_wait(facts, transaction)
        job = self.new_job(transaction)
        await self._run(job, transaction, request.remake)
        await self._end_waiting(transaction.modules, transaction)
        return job

    def new_job(self, transaction: Transaction) -> Job:
        """A job for TRANSACTION, which is at its first step or from before a restart."""
        purpose, since = transaction.purpose.value, transaction.since
        module, step = transaction.module, transaction.step
        return self.jobs.new(transaction.job, module, transaction.uid, step, purpose, since)

    async def keep_for_undo(self, transaction: Transaction) -> None:
        """Keep TRANSACTION, whose undo failed: this process and the next one try again."""
        await self.execution().record(transaction, must=False)
        self.unfinished.add(transaction)

    def check_cancellable(self, job: Job) -> None:
        """Refuse to cancel a job that is not waiting. Raises Busy."""
        if job.state is not JobState.WAITING:
            raise Busy(f"Job {job.id} is {job.state.value}: only a waiting job can be cancelled.")

    async def cancel(self, job: Job, uid: int) -> None:
        """End a waiting job for the user UID; the configuration stays as written. Raises Busy.

        Waits for a reload attempt in progress, so that its record is not removed meanwhile.
        """
        self.check_cancellable(job)
        async with self.lock:
            self.check_cancellable(job)
            await self._forget(self.waiting.cancel(job))
        fields = about(Event.JOB_CANCELLED, module=job.module, job=job.id, caller_uid=uid)
        log.log(NOTICE, "Job %d was cancelled by user %d", job.id, uid, extra=fields)

    async def supersede(self, module: str) -> None:
        """End jobs that wait for MODULE, and drop the pending undo of a failed change of it."""
        await self._end_waiting((module,))
        await self._overrule((module,))

    async def _end_waiting(self, modules: Sequence[str], done: Transaction | None = None) -> None:
        """End waiting for MODULES, which are done; a job for more modules waits for the others."""
        for job, transaction in self.waiting.overlapping(modules):
            if done is not None and job.id == done.job:
                continue
            remaining = chain.without(transaction, modules)
            if remaining is None:
                await self._forget(self.waiting.cancel(job))
            else:
                self.waiting.change(job, remaining)

    async def _forget(self, transaction: Transaction | None) -> None:
        """Remove the record and backup of a transaction that waited."""
        if transaction is not None:
            await self.execution().finish(transaction)

    async def _overrule(self, modules: Sequence[str], *, must_load: bool = True) -> None:
        """Drop pending undos; with MUST_LOAD, only the requirement to load the modules stays."""
        for broken in self.unfinished.drop(modules):
            execution = self.execution()
            lost = [name for name in broken.modules if not self.is_loaded(name)]
            if broken.purpose is not Purpose.RELOAD or not lost or not must_load:
                await execution.finish(broken)
                continue
            if broken.replacement is not None:
                await asyncio.to_thread(broken.replacement.discard)
            remaining = broken.without_values()
            await execution.record(remaining.at(JobState.ROLLING_BACK), must=False)
            self.unfinished.add(remaining)

    def execution(self) -> Execution:
        """An Execution without a job, or after its end."""
        return Execution(self.view.kernel, self.records, self.view.types(), lambda state: None)

    def execution_of(self, job: Job, remake: Remake | None = None) -> Execution:
        """An Execution that reports its progress as JOB's."""

        def progress(state: JobState) -> None:
            self.jobs.update(job, state)

        return Execution(self.view.kernel, self.records, self.view.types(), progress, remake)

    def end(self, job: Job, error: BaseException | None) -> None:
        """End JOB, with ERROR as the reason if it failed; listeners see the result."""
        text = ""
        if error is not None:
            failed = write_failed(error) if isinstance(error, OSError) else error
            text = str(failed) if isinstance(failed, NestdError) else "Internal error."
        _log_end(job, error, text)
        self.jobs.update(job, _RESULTS.get(type(error), JobState.FAILED), text)
        self.view.config_changed()

    async def _begin_to_wait(self, facts: HostFacts, transaction: Transaction) -> Job:
        """Write the configuration now, and record the reload for later."""
        for _, waiting in self.waiting.overlapping(transaction.modules):
            transaction = chain.joined(facts, transaction, waiting)
        execution = self.execution()
        try:
            await execution.record(transaction)
            if transaction.replacement is not None:
                await asyncio.to_thread(transaction.replacement.commit)
        except NotUndone as error:
            failed = write_failed(error)
            await self.keep_for_undo(replace(transaction, purpose=Purpose.FILE, when=When.BOOT))
            log_not_restored(transaction.module, transaction.uid, failed)
            raise failed from error
        except OSError:
            await execution.finish(transaction)
            raise
        return await self.wait(transaction)

    async def wait(self, transaction: Transaction) -> Job:
        """Create a waiting job for TRANSACTION; it replaces the waiting jobs that it includes."""
        for job, _ in self.waiting.overlapping(transaction.modules):
            await self._forget(self.waiting.cancel(job))
        await self._overrule(transaction.modules)
        job = self.new_job(transaction)
        self.waiting.add(job, transaction)
        return job

    async def _attempt(self, job: Job) -> None:
        """Try a waiting job's reload when nothing seems to use the module."""
        async with self.lock:
            await self.view.settled()
            transaction = self.waiting.transaction(job)
            if transaction is None:
                return
            facts = self.view.facts()
            hindrance = chain.hindrance(facts, transaction)
            if hindrance:
                await self.execution().finish(transaction)
                self.end(job, Conflict(hindrance))
                return
            try:
                await self._run(job, chain.refreshed(facts, transaction))
            finally:
                self.view.config_changed()

    async def _run(self, job: Job, transaction: Transaction, remake: Remake | None = None) -> None:
        """Reload and end JOB; a waiting job that finds the module in use keeps waiting (Busy)."""
        execution = self.execution_of(job, remake)
        waits = transaction.when is When.IDLE
        gate = self.gate(transaction, 0.0 if waits else UNLOAD_SECONDS)
        try:
            if self.inhibitors.list():
                found = await self._blockers(self.view.facts(), transaction.modules[::-1])
                raise self.refusal(job.module, found)
            async with self._shutdown_delay():
                await execution.run(transaction, gate)
        except BaseException as error:
            if waits and isinstance(error, (Busy, Inhibited, OSError)):
                # Also if the step could not be recorded: the module has not been touched.
                await execution.record(transaction.at(JobState.WAITING), must=False)
                raise Busy(str(error)) from error
            if not isinstance(error, Exception):
                raise  # interrupted at any step: the next start uses the record
            await self.view.settled()
            name_cause(error, self.view.facts(), transaction.modules)
            if isinstance(error, (ReloadFailed, NotRestored)):
                self.unfinished.add(execution.recorded or transaction)
            elif not isinstance(error, RolledBack):
                await execution.finish(transaction)  # nothing was done
            await self._end_looked_at(job, error)
            raise
        await self._overrule(
            transaction.modules, must_load=transaction.purpose is not Purpose.UNLOAD
        )
        await self._end_looked_at(job, None)

    async def _end_looked_at(self, job: Job, error: Exception | None) -> None:
        """end() with one look at the host, taken now, for all listeners."""
        self.view.config_changed()
        await self.view.settled()
        self.end(job, error)

    def gate(self, transaction: Transaction, seconds: float) -> Gate:
        """How to treat refused unloads of TRANSACTION's modules."""
        modules = tuple(reversed(transaction.modules))

        async def explain() -> str:
            found = await self._blockers(self.view.facts(), modules)
            return blockers.sentence(transaction.module, self.view.hidden.blockers(found))

        async def is_final() -> bool:
            return blockers.are_lasting(await self.view.holders())

        return Gate(explain, is_final, seconds)

    async def _undo(self, transaction: Transaction) -> None:
        """Try a failed roll-back again; always raises."""
        async with self.lock:
            if not self.unfinished.has(transaction):
                raise RolledBack("A later change overruled it.")
            # Modules loaded by others since then keep their values.
            members = tuple(
                replace(member, before={}) if self.is_loaded(member.module) else member
                for member in transaction.members
            )
            transaction = replace(transaction, members=members)
            try:
                await self.execution().roll_back(transaction, "the change before had failed")
            finally:
                self.view.config_changed()

    def is_loaded(self, module: str) -> bool:
        """Whether MODULE is loaded now."""
        return self.view.kernel.read_module(module).loaded

    def _in_use(self, job: Job) -> bool:
        """Whether an unload is bound to fail, judged quickly by the reference counts."""
        transaction = self.waiting.transaction(job)
        if transaction is None or self.inhibitors.list():
            return True
        return chain.in_use(self.view.kernel, transaction.modules)


def log_not_restored(module: str, uid: int, error: NestdError) -> None:
    """Log a failed change of MODULE for the user UID that could not be undone."""
    log.error("User %d was to change %s: %s", uid, module, error, extra=not_restored(module, uid))


def name_cause(error: Exception, facts: HostFacts, modules: Sequence[str]) -> None:
    """Add to ERROR the configuration line that prevents a load of one of MODULES."""
    hint = next(filter(None, map(load_hint, map(facts.module, modules))), "")
    if hint and isinstance(error, (RolledBack, ReloadFailed)):
        # modprobe itself does not mention an `install` line.
        error.args = (f"{str(error).replace(' and said nothing', '')} {hint}",)


def _log_end(job: Job, error: BaseException | None, text: str) -> None:
    if isinstance(error, NotRestored):
        log_not_restored(job.module, job.uid, error)
        return
    if error is None and job.kind == Purpose.UNLOAD.value:
        fields = about(Event.MODULE_UNLOADED, module=job.module, job=job.id, caller_uid=job.uid)
        text = "Job %d of user %d: %s was unloaded"
        log.log(NOTICE, text, job.id, job.uid, job.module, extra=fields)
        return
    level, event = _EVENTS.get(type(error), (NOTICE, Event.RELOAD_REFUSED))
    fields = about(event, module=job.module, job=job.id, caller_uid=job.uid)
    outcome = "was reloaded" if error is None else f"could not be {job.kind}ed: {text}"
    log.log(level, "Job %d of user %d: %s %s", job.id, job.uid, job.module, outcome, extra=fields)

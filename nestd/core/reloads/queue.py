# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reloads as jobs: one after the other, now or when idle.

"now" and "boot", once they have succeeded, and a later "idle" end what waits for the same module.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace

from nestd.core.errors import (
    Busy,
    Conflict,
    Inhibited,
    NestdError,
    ReloadFailed,
    RolledBack,
    check_ours,
    write_failed,
)
from nestd.core.journal_events import NOTICE, Event, about
from nestd.core.model import Blocker, JobState, When
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.obstacles import load_hint, preventing
from nestd.core.modules.values import as_text, differing
from nestd.core.modules.view import HostView
from nestd.core.reloads import blockers
from nestd.core.reloads.execution import UNLOAD_SECONDS, Reload
from nestd.core.reloads.in_place import set_in_place
from nestd.core.reloads.inhibitors import Inhibitor, Inhibitors
from nestd.core.reloads.jobs import Job, Jobs
from nestd.core.reloads.repair import Repair
from nestd.core.reloads.transaction import Transaction
from nestd.core.reloads.waiting import Waiting
from nestd.formats.modprobe.load_obstacle import sentence
from nestd.host.files import Replacement
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
"""Held during the seconds in which a module may not be loaded: keeps the machine from shutting
down."""


def _hindrance(facts: HostFacts, transaction: Transaction) -> str:
    """Why a waiting reload can no longer bring what was asked for, as a sentence; "" if it can."""
    name = transaction.module
    module = facts.module(name)
    obstacle = preventing(module)
    if obstacle is not None:
        return sentence(name, obstacle)
    if not module.running.loaded:
        return f"{name} was unloaded meanwhile."
    if not module.running.on_disk:
        return f"{name} could not be loaded again: its file was removed meanwhile."
    coming = as_text(module.next_values)
    lost = set(differing(transaction.wanted, coming, module.types))
    lost |= transaction.wanted.keys() - coming.keys()
    if not lost:
        return ""
    asked = ", ".join(f"{name}={transaction.wanted[name]}" for name in sorted(lost))
    return f"{name} would no longer be loaded with {asked}: that was changed meanwhile."


class Reloads:
    """Carries them out. Whoever changes a module or its configuration holds the lock meanwhile."""

    def __init__(
        self, view: HostView, records: Records, shutdown_delay: ShutdownDelay | None = None
    ) -> None:
        self.view = view
        self.records = records
        self.lock = asyncio.Lock()
        self._shutdown_delay = shutdown_delay or AsyncExitStack
        self.is_ours = True  # the host, to act on: see claim()
        self.jobs = Jobs()
        self.inhibitors = Inhibitors()
        self.waiting = Waiting(self.jobs, self._attempt, self.blockers, self._in_use)
        self.repair = Repair(self._undo)
        view.listen(self.waiting.wake)
        view.listen(self.repair.wake)
        self.inhibitors.on_release.append(self.waiting.wake)

    async def close(self) -> None:
        """Let what is being done come to its end, then stop waiting; the records stay."""
        async with self.lock:
            await self.waiting.close()
            await self.repair.close()
            self.inhibitors.close()
            self.records.release()

    def claim(self) -> bool:
        """Whether no other nestd acts on this host's modules, be it on another bus."""
        self.is_ours = self.records.claim()
        return self.is_ours

    def check_ours(self) -> None:
        """Refuse to act beside another nestd. Raises NotSupported."""
        check_ours(self.is_ours)

    async def blockers(self, module: str) -> tuple[Blocker, ...]:
        """What keeps MODULE from being reloaded at this moment."""
        facts = self.view.facts()
        holders = await self.view.holders()
        found = blockers.find(facts.modules[module], holders, facts.modules_disabled)
        return found + self.inhibitors.blockers()

    def refusal(self, module: str, found: Sequence[Blocker]) -> NestdError:
        """What a reload of MODULE now is refused with, given the blockers that were FOUND."""
        kind = Inhibited if self.inhibitors.list() else Busy
        return kind(blockers.sentence(module, found))

    async def inhibit(self, inhibitor: Inhibitor) -> int:
        """Keep reloads away from now on, after one that has begun; see Inhibitors.add()."""
        async with self.lock:
            return self.inhibitors.add(inhibitor)

    async def start(
        self,
        facts: HostFacts,
        module: str,
        when: When,
        wanted: Mapping[str, str],
        replacement: Replacement | None,
        uid: int,
    ) -> Job:
        """Reload MODULE for the user UID, to run with WANTED, putting REPLACEMENT in place with it.

        For "now" the job has ended when this comes back; for "idle" it has begun to wait. Raises
        Busy, Inhibited or OSError with nothing changed, RolledBack or ReloadFailed.
        """
        first = JobState.WAITING if when is When.IDLE else JobState.UNLOADING
        job = self.jobs.new(self.records.next_job(), module, uid, first)
        transaction = Transaction(
            job=job.id,
            module=module,
            uid=uid,
            when=when,
            step=first,
            wanted=wanted,
            before=facts.modules[module].parameters,
            replacement=replacement,
        )
        if when is When.IDLE:
            self._begin_to_wait(facts, job, transaction)
        else:
            await self._run(facts, job, transaction)
            self.supersede(module)
        return job

    async def set_in_place(
        self,
        facts: HostFacts,
        module: str,
        values: Mapping[str, str],
        replacement: Replacement | None,
        uid: int,
    ) -> None:
        """Change MODULE as it runs, and kvm.conf with it, for the user UID: no reload and no job.

        It is on record meanwhile, so that the next start rolls back what a crash cut in half.
        Raises RolledBack or OSError with nothing changed.
        """
        running = facts.modules[module].parameters
        transaction = Transaction(
            job=self.records.next_job(),
            module=module,
            uid=uid,
            when=When.NOW,
            step=JobState.ROLLING_BACK,
            wanted=values,
            # Whatever else others write until then is theirs.
            before={name: running[name] for name in values if name in running},
            replacement=replacement,
        )
        carrier, types = self._carrier(module), facts.module(module).types
        try:
            carrier.record(transaction)
            kernel = self.view.kernel
            setting = asyncio.to_thread(set_in_place, kernel, module, values, types, replacement)
            await asyncio.shield(setting)
        except RolledBack as error:
            job = transaction.job
            fields = about(Event.RELOAD_ROLLED_BACK, module=module, job=job, caller_uid=uid)
            text = "User %d was to change %s as it runs: %s"
            log.warning(text, uid, module, error, extra=fields)
            raise
        finally:
            carrier.finish(transaction)

    def check_cancellable(self, job: Job) -> None:
        """Only a job that waits can be cancelled. Raises Busy."""
        if job.state is not JobState.WAITING:
            raise Busy(f"Job {job.id} is {job.state.value}: only a waiting job can be cancelled.")

    async def cancel(self, job: Job, uid: int) -> None:
        """End a waiting job for the user UID; the configuration stays as written. Raises Busy.

        One that is about to reload decides first: its record is not taken away under it.
        """
        self.check_cancellable(job)
        async with self.lock:
            self.check_cancellable(job)
            self._end_waiting(job.module)
        fields = about(Event.JOB_CANCELLED, module=job.module, job=job.id, caller_uid=uid)
        log.log(NOTICE, "Job %d was cancelled by user %d", job.id, uid, extra=fields)

    def supersede(self, module: str) -> None:
        """What waited for MODULE no longer does, and what ran before a failure is not wanted."""
        self._end_waiting(module)
        self._overrule(module)

    def _end_waiting(self, module: str) -> None:
        superseded = self.waiting.cancel(module)
        if superseded is not None:
            if superseded.replacement is not None:
                superseded.replacement.discard()
            self.records.remove(superseded.job)

    def _overrule(self, module: str) -> None:
        """Of a reload of MODULE that could not be undone, only that it has to be loaded stays."""
        broken = self.repair.drop(module)
        if broken is None:
            return
        carrier = self._carrier(module)
        if self.view.kernel.read_module(module).loaded:
            carrier.finish(broken)
            return
        if broken.replacement is not None:
            broken.replacement.discard()
        remaining = replace(broken, wanted={}, before={}, replacement=None)
        carrier.record(remaining.at(JobState.ROLLING_BACK), must=False)
        self.repair.add(remaining)

    def _carrier(self, module: str) -> Reload:
        """The carrier of what goes on without a job, or after its end."""
        types = self.view.facts().module(module).types
        return Reload(self.view.kernel, self.records, types, lambda state: None)

    def transaction(self, facts: HostFacts, job: Job) -> Reload:
        """The carrier of a transaction that tells its progress as JOB's."""
        return Reload(
            self.view.kernel,
            self.records,
            facts.module(job.module).types,
            lambda state: self.jobs.update(job, state),
        )

    def end(self, job: Job, error: BaseException | None) -> None:
        """JOB is over, with ERROR as the reason where it failed; its listeners see the result."""
        self.view.config_changed()
        text = ""
        if error is not None:
            failed = write_failed(error) if isinstance(error, OSError) else error
            text = str(failed) if isinstance(failed, NestdError) else "Internal error."
        _tell(job, error, text)
        self.jobs.update(job, _RESULTS.get(type(error), JobState.FAILED), text)

    def _begin_to_wait(self, facts: HostFacts, job: Job, transaction: Transaction) -> None:
        """Write the configuration now and the reload down for later."""
        reload = self.transaction(facts, job)
        try:
            reload.record(transaction)
            if transaction.replacement is not None:
                transaction.replacement.commit()
        except OSError as error:
            reload.finish(transaction)
            self.end(job, error)
            raise
        self.supersede(job.module)
        self.waiting.add(job, transaction)

    async def _attempt(self, job: Job, transaction: Transaction) -> None:
        """A waiting job's reload, at a moment when nothing seems to use the module."""
        async with self.lock:
            if self.waiting.transaction(job) is None:
                return
            facts = self.view.facts()
            hindrance = _hindrance(facts, transaction)
            if hindrance:
                self.transaction(facts, job).finish(transaction)
                self.end(job, Conflict(hindrance))
                return
            # Others may have reloaded it meanwhile.
            transaction = replace(transaction, before=facts.modules[job.module].parameters)
            try:
                await self._run(facts, job, transaction)
            finally:
                self.view.config_changed()

    async def _run(self, facts: HostFacts, job: Job, transaction: Transaction) -> None:
        """Reload and end JOB; a waiting one that finds the module in use waits on (Busy)."""
        reload = self.transaction(facts, job)
        waits = transaction.when is When.IDLE

        async def explain() -> str:
            return blockers.sentence(job.module, await self.blockers(job.module))

        try:
            if self.inhibitors.list():
                raise self.refusal(job.module, await self.blockers(job.module))
            async with self._shutdown_delay():
                await reload.run(transaction, explain, 0.0 if waits else UNLOAD_SECONDS)
        except BaseException as error:
            if waits and isinstance(error, (Busy, Inhibited, OSError)):
                # Also where the step could not be recorded: the module has not been touched.
                reload.record(transaction.at(JobState.WAITING), must=False)
                raise Busy(str(error)) from error
            if not isinstance(error, Exception):
                raise  # cut off at any step: the record is for the next start
            _name_cause(error, load_hint(facts.module(job.module)))
            if isinstance(error, ReloadFailed):
                self.repair.add(transaction)
            elif not isinstance(error, RolledBack):
                reload.finish(transaction)  # nothing has been done
            self.end(job, error)
            raise
        self._overrule(job.module)
        self.end(job, None)

    async def _undo(self, transaction: Transaction) -> None:
        """Another try at a roll-back that failed; always raises."""
        async with self.lock:
            if self.repair.get(transaction.module) is not transaction:
                raise RolledBack("It was overruled meanwhile.")
            if self.view.kernel.read_module(transaction.module).loaded:
                # Somebody has loaded it since: with their values it stays.
                transaction = replace(transaction, before={})
            try:
                carrier = self._carrier(transaction.module)
                await carrier.roll_back(transaction, "the reload before had failed")
            finally:
                self.view.config_changed()

    def _in_use(self, module: str) -> bool:
        """Whether an unload is bound to fail; the reference count is the quick answer."""
        return self.view.kernel.read_module(module).refcount > 0 or bool(self.inhibitors.list())


def _name_cause(error: Exception, hint: str) -> None:
    """Add the line of the configuration that keeps the module from being loaded."""
    if hint and isinstance(error, (RolledBack, ReloadFailed)):
        error.args = (f"{error} {hint}",)


def _tell(job: Job, error: BaseException | None, text: str) -> None:
    level, event = _EVENTS.get(type(error), (NOTICE, Event.RELOAD_REFUSED))
    fields = about(event, module=job.module, job=job.id, caller_uid=job.uid)
    outcome = "was reloaded" if error is None else f"was to be reloaded: {text}"
    log.log(level, "Job %d of user %d: %s %s", job.id, job.uid, job.module, outcome, extra=fields)

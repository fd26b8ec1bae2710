# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a client can ask of nestd about KVM modules: read, plan, change, reload.

Changes are served one at a time, in the order in which they came, each on the state that the one
before left. A change is made in two calls, so that the bus can ask for authorization in between:
prepare() checks it and finds out whether there is anything to do, apply() does it.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping

from nestd.core import blockers, plan
from nestd.core.change import (
    Change,
    Effect,
    check_effective,
    check_present,
    check_supported,
    make_change,
    refusal,
    shown,
)
from nestd.core.derive import next_values, plain, refused
from nestd.core.describe import describe
from nestd.core.errors import (
    Busy,
    ConfigUnparsable,
    Conflict,
    Inhibited,
    InvalidArgument,
    Missing,
    NestdError,
    ReloadFailed,
    RolledBack,
    WriteFailed,
)
from nestd.core.facts import HostFacts
from nestd.core.in_place import set_in_place
from nestd.core.inhibitors import Inhibitors
from nestd.core.jobs import Job, Jobs
from nestd.core.model import Blocker, JobState, When
from nestd.core.reload import UNLOAD_SECONDS, Reload
from nestd.core.transaction import Transaction
from nestd.core.view import HostView
from nestd.core.waiting import Waiting
from nestd.host import files, initramfs
from nestd.host.records import Records


class Manager:
    """The one that changes things. Reading goes through its view."""

    def __init__(self, view: HostView, records: Records) -> None:
        self.view = view
        self.jobs = Jobs()
        self.inhibitors = Inhibitors()
        self.records = records
        self.lock = asyncio.Lock()
        self.waiting = Waiting(self.jobs, self._attempt, self.blockers, self._in_use)
        view.listen(self.waiting.wake)
        self.inhibitors.on_release.append(self.waiting.wake)

    def module(self, name: str) -> str:
        """NAME as the kernel spells it. Raises InvalidArgument for one that is not KVM's here."""
        spelled = name.replace("-", "_")
        if spelled not in self.view.modules:
            known = ", ".join(self.view.modules) or "none"
            raise InvalidArgument(f"No module {shown(name)} here; KVM's modules are: {known}.")
        return spelled

    def prepare(
        self, module: str, parameters: Mapping[str, str], when: When, token: str = ""
    ) -> Change:
        """Check a change of PARAMETERS ("" removes one). Raises what stands against it."""
        change = make_change(self.view.facts(), module, parameters, when, token)
        check_effective(change)
        check_supported(self.view.kernel.can_load, change.effect)
        return change

    def prepare_reload(self, module: str) -> None:
        """Check a reload without a change."""
        facts = self.view.facts()
        check_present(facts, module)
        check_supported(self.view.kernel.can_load, Effect.RELOAD)
        if not facts.modules[module].loaded:
            raise Missing(f"{module} is not loaded: there is nothing to reload.")
        bad = refused(facts, module)
        if bad is not None:
            raise Conflict(refusal(module, bad))

    async def plan(self, module: str, parameters: Mapping[str, str], when: When) -> plan.Plan:
        """What a change would do, doing nothing."""
        facts = self.view.facts()
        change = make_change(facts, module, parameters, when)
        image = await initramfs.holding(self.view.root, facts.release, module)
        in_the_way = await self.blockers(module) if change.effect is Effect.RELOAD else ()
        return plan.Plan(
            diff=change.diff,
            steps=plan.steps(change),
            blockers=in_the_way,
            warnings=plan.warnings(facts, change, image),
            token=change.token,
        )

    async def blockers(self, module: str) -> tuple[Blocker, ...]:
        """What keeps MODULE from being reloaded at this moment."""
        facts = self.view.facts()
        holders = await self.view.holders()
        found = blockers.find(facts.modules[module], holders, facts.modules_disabled)
        return found + self.inhibitors.blockers()

    def _in_use(self, module: str) -> bool:
        """Whether an unload is bound to fail; the reference count is the quick answer."""
        refcount = self.view.kernel.read_module(module).refcount
        return refcount > 0 or bool(self.inhibitors.list())

    async def apply(self, change: Change, uid: int) -> Job | None:
        """Make the change for the user UID; the job of the reload, None where none was needed.

        Raises the errors of nestd.core.errors, then with everything as it was before.
        """
        async with self.lock:
            # The state may have changed while the caller was asked for a password.
            change = self.prepare(change.module, change.parameters, change.when)
            facts = self.view.facts()
            try:
                return await self._apply(facts, change, uid)
            except OSError as error:
                raise write_failed(error) from error
            finally:
                self.view.config_changed()

    async def reload(self, module: str, when: When, uid: int) -> Job:
        """Reload MODULE as it is configured, now or when idle."""
        async with self.lock:
            self.prepare_reload(module)
            facts = self.view.facts()
            wanted = plain(next_values(facts, module))
            try:
                return await self._reload(facts, module, when, wanted, None, uid)
            except OSError as error:
                raise write_failed(error) from error
            finally:
                self.view.config_changed()

    async def describe(self) -> str:
        """The whole state as a JSON document."""
        machines = await self.view.machines()
        return describe(
            self.view.facts(),
            self.view.snapshot(),
            machines,
            self.jobs.current(),
            self.inhibitors.list(),
        )

    def check_cancellable(self, job: Job) -> None:
        """Only a job that waits can be cancelled. Raises Busy."""
        if self.waiting.transaction(job) is None:
            raise Busy(f"Job {job.id} is {job.state.value}: only a waiting job can be cancelled.")

    def cancel(self, job: Job) -> None:
        """End a waiting job; the configuration stays as written."""
        self.check_cancellable(job)
        self._supersede(job.module)

    async def close(self) -> None:
        """Let what is being done come to its end, and stop waiting; records stay."""
        async with self.lock:  # held during each reload, which must not be cut off
            await self.waiting.close()
            self.inhibitors.close()

    async def _apply(self, facts: HostFacts, change: Change, uid: int) -> Job | None:
        replacement = await asyncio.to_thread(_replacement, facts, change)
        if change.effect is Effect.RELOAD:
            wanted = plain(change.wanted)
            return await self._reload(facts, change.module, change.when, wanted, replacement, uid)
        if change.effect is Effect.IN_PLACE:
            wanted = {name: value or "1" for name, value in change.wanted.items()}
            types = facts.types_of(change.module)
            set_in_place(self.view.kernel, change.module, wanted, types, replacement)
        elif replacement is not None:
            await asyncio.to_thread(replacement.commit)
            replacement.forget()
        self._supersede(change.module)
        return None

    async def _reload(
        self,
        facts: HostFacts,
        module: str,
        when: When,
        wanted: Mapping[str, str],
        replacement: files.Replacement | None,
        uid: int,
    ) -> Job:
        """Start a job for it, and for "now" come back when that has ended."""
        first = JobState.WAITING if when is When.IDLE else JobState.UNLOADING
        job = self.jobs.new(module, uid, first)
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
            self._start_waiting(facts, job, transaction)
        else:
            await self._reload_now(facts, job, transaction)
            self._supersede(module)
        return job

    def _start_waiting(self, facts: HostFacts, job: Job, transaction: Transaction) -> None:
        """Write the configuration now and the reload down for later."""
        reload = self.reload_of(facts, job)
        try:
            reload.record(transaction)
            if transaction.replacement is not None:
                transaction.replacement.commit()
        except OSError as error:
            reload.finish(transaction)
            self.end(job, error)
            raise
        self._supersede(job.module)
        self.waiting.add(job, transaction)

    async def _attempt(self, job: Job, transaction: Transaction) -> None:
        """A waiting job's reload, at a moment when nothing seems to use the module."""
        async with self.lock:
            if self.waiting.transaction(job) is None:
                return
            facts = self.view.facts()
            bad = refused(facts, job.module)
            reload = self.reload_of(facts, job)
            if bad is not None or not facts.modules[job.module].loaded:
                reason = (
                    refusal(job.module, bad) if bad else f"{job.module} was unloaded meanwhile."
                )
                reload.finish(transaction)
                self.end(job, Conflict(reason))
                return
            try:
                await self._reload_now(facts, job, transaction)
            finally:
                self.view.config_changed()

    async def _reload_now(self, facts: HostFacts, job: Job, transaction: Transaction) -> None:
        """Reload and end JOB; a waiting one that finds the module in use waits on (Busy)."""
        reload = self.reload_of(facts, job)
        waits = transaction.when is When.IDLE

        async def explain() -> str:
            return blockers.sentence(job.module, await self.blockers(job.module))

        try:
            if self.inhibitors.list():
                raise Inhibited(await explain())
            await reload.run(transaction, explain, 0.0 if waits else UNLOAD_SECONDS)
        except BaseException as error:
            if waits and isinstance(error, Busy):
                reload.record(transaction.at(JobState.WAITING), must=False)
                raise
            if not isinstance(error, (RolledBack, ReloadFailed)):
                reload.finish(transaction)  # nothing has been done
            self.end(job, error)
            raise
        self.end(job, None)

    def _supersede(self, module: str) -> None:
        """The latest request decides: what waited for MODULE no longer does."""
        superseded = self.waiting.cancel(module)
        if superseded is not None:
            if superseded.replacement is not None:
                superseded.replacement.forget()
            self.records.remove(superseded.job)

    def reload_of(self, facts: HostFacts, job: Job) -> Reload:
        """A Reload that tells its progress as JOB's."""
        return Reload(
            self.view.kernel,
            self.records,
            facts.types_of(job.module),
            lambda state: self.jobs.update(job, state),
        )

    def end(self, job: Job, error: BaseException | None) -> None:
        """JOB is over, with ERROR as the reason where it failed."""
        results = {RolledBack: JobState.ROLLED_BACK, type(None): JobState.DONE}
        text = str(error) if isinstance(error, NestdError) else "Internal error."
        self.jobs.update(job, results.get(type(error), JobState.FAILED), text if error else "")


def write_failed(error: OSError) -> NestdError:
    """What a failed system call on a file means to a caller."""
    reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if error.errno in (errno.ESTALE, errno.EISDIR, errno.EINVAL, errno.ENOLINK):
        return ConfigUnparsable(f"Nothing was changed: {reason}.")
    return WriteFailed(f"Nothing was changed: {reason}.")


def _replacement(facts: HostFacts, change: Change) -> files.Replacement | None:
    if not change.edits:
        return None
    return files.prepare(facts.own.place, change.data, change.old)

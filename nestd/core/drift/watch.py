# SPDX-License-Identifier: LGPL-2.1-or-later
"""Detects drift, reports it, and corrects it if set in nestd.conf.

Each cause is handled once until the next boot or the next change through nestd, so that nestd does
not fight a program that keeps reloading a module with other parameters. /run/nestd/drift.json keeps
the handled causes across restarts of nestd; /var/lib/nestd/kvm.conf.json keeps the identity of
kvm.conf, by which it is found if it is moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from nestd.core.changes.change import NeedsMoreAuthorization
from nestd.core.changes.changes import Changes
from nestd.core.drift.drift import Drift, OnDrift, Remedy, find_drift, find_loss
from nestd.core.errors import NestdError
from nestd.core.journal_events import NOTICE, OURSELVES, Event, about
from nestd.core.model import When
from nestd.core.modules.facts import HostFacts
from nestd.core.reloads import direct
from nestd.core.reloads.jobs import Job
from nestd.host.files import read_regular
from nestd.host.modprobe.moved_file import Identity, identity, moved_to
from nestd.host.state.json_file import DRIFT_CAUSES, KNOWN_KVM_CONF, JsonFile

GRACE_SECONDS = 3.0
"""Seconds before a drift counts: people and package managers work in several steps."""
MOST_CAUSES = 16
"""Causes handled per module; after that, a program that keeps writing new values is ignored."""
_OWN = "own"  # a state that nestd was asked for

log = logging.getLogger(__name__)


class DriftWatch:
    """Checks for drift at every hint of a change. Call start() when the host's state is settled."""

    def __init__(self, changes: Changes, policy: OnDrift, grace: float = GRACE_SECONDS) -> None:
        self._changes = changes
        self._view = changes.view
        self._policy = policy
        self._grace = grace
        self._causes = JsonFile(self._view.root.at(DRIFT_CAUSES))
        self._dealt_with: dict[str, dict[str, str]] = {}  # actions taken, by module and cause
        self._kvm_conf = JsonFile(self._view.root.at(KNOWN_KVM_CONF))
        self._known = Identity(0, 0)  # of the last kvm.conf seen
        self._acting: set[str] = set()  # modules being corrected
        self._jobs: set[int] = set()  # the correcting jobs
        self._timers: dict[str, asyncio.TimerHandle] = {}  # by cause
        self._later: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    def start(self) -> None:
        """Start with the causes that an earlier nestd of this boot has handled."""
        if not self._view.kernel.can_load:
            return  # another machine's files: nothing runs
        for module, causes in self._causes.read().items():
            if module in self._view.modules and isinstance(causes, dict):
                self._dealt_with[module] = causes
        remembered = self._kvm_conf.read()
        self._known = Identity(remembered.get("inode", 0), remembered.get("changed", 0))
        self._view.listen(self._look)
        self._changes.on_change.append(self._on_change)
        self._changes.reloads.jobs.on_end.append(self._on_job_end)
        self._look()

    def set_policy(self, policy: OnDrift) -> None:
        """Set the policy; "reapply" also corrects drift that was only reported before."""
        self._policy = policy
        self._view.config_changed()  # hence a look

    async def close(self) -> None:
        """Stop."""
        for timer in (*self._timers.values(), self._later):
            if timer is not None:
                timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._writes, return_exceptions=True)

    def _on_change(self, module: str) -> None:
        self._accept(module, ours=module in self._acting)

    def _on_job_end(self, job: Job) -> None:
        self._accept(job.module, ours=job.id in self._jobs)
        self._jobs.discard(job.id)
        self._view.config_changed()  # hence a look

    def _accept(self, module: str, *, ours: bool) -> None:
        """Treat the present state as requested, also after "boot" and a failed job."""
        if not ours:
            self._dealt_with.pop(module, None)  # after a new request, old causes count again
        drift = find_drift(self._view.shared_facts().module(module))
        if drift is not None:
            self._remember(drift, _OWN)

    def _look(self) -> None:
        self._later = None
        loop = asyncio.get_running_loop()
        if self._changes.reloads.lock.locked():
            self._later = loop.call_later(self._grace, self._view.config_changed)  # hence a look
        found = {drift.key: drift for drift in self._drifts()}
        for key in self._timers.keys() - found.keys():
            self._timers.pop(key).cancel()
        for key, drift in found.items():
            if key not in self._timers and not self._is_dealt_with(drift):
                self._timers[key] = loop.call_later(self._grace, self._is_due, key)

    def _drifts(self) -> list[Drift]:
        """The present drift, except for modules that nestd is about to change."""
        facts = self._view.shared_facts()
        idle = [name for name in facts.modules if not self._is_busy(name)]
        found = [find_drift(facts.module(name)) for name in idle] + self._losses(facts, idle)
        return [drift for drift in found if drift is not None]

    def _losses(self, facts: HostFacts, modules: list[str]) -> list[Drift | None]:
        """The settings lost because kvm.conf was moved away."""
        now = identity(facts.own.place)
        if now == self._known:
            return []
        moved = moved_to(facts.own.place, self._known)
        if moved is not None:
            try:
                saved = read_regular(moved) or b""
            except OSError:
                saved = b""
            lost = [find_loss(facts, name, moved, saved) for name in modules]
            if any(drift is not None and not self._is_dealt_with(drift) for drift in lost):
                return lost
        if now is not None and modules:
            self._known = now
            self._save(self._kvm_conf, {"inode": now.inode, "changed": now.changed})
        return []

    def _is_busy(self, module: str) -> bool:
        """Whether nestd itself is changing MODULE or waiting to do so."""
        reloads = self._changes.reloads
        waits = any(job.module == module for job in reloads.jobs.current())
        return waits or reloads.lock.locked()

    def _is_dealt_with(self, drift: Drift) -> bool:
        causes = self._dealt_with.get(drift.module, {})
        done = causes.get(drift.key)
        settled = (_OWN, OnDrift.REAPPLY.value, self._policy.value)
        return done in settled or (done is None and len(causes) >= MOST_CAUSES)

    def _remember(self, drift: Drift, done: str) -> None:
        causes = self._dealt_with.setdefault(drift.module, {})
        if causes.get(drift.key) != done:
            causes[drift.key] = done
            self._save(self._causes, copy.deepcopy(self._dealt_with))

    def _save(self, file: JsonFile, facts: Mapping[str, object]) -> None:
        """Write FACTS in a worker thread; the versions of each file are written in order."""
        task = asyncio.create_task(self._write_in_turn(file, facts))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write_in_turn(self, file: JsonFile, facts: Mapping[str, object]) -> None:
        async with self._writing:
            await asyncio.to_thread(file.write, facts)

    def _is_due(self, key: str) -> None:
        """Handle the drift KEY, whose grace period is over, if it still exists."""
        del self._timers[key]
        self._add_task(self._due(key))

    def _add_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _due(self, key: str) -> None:
        await self._view.settled()
        drift = next((each for each in self._drifts() if each.key == key), None)
        if drift is None:
            self._look()  # nestd is changing something now: try later
            return
        if self._is_dealt_with(drift):
            return
        policy = self._policy
        self._remember(drift, policy.value)
        self._report(drift, policy)
        if policy is OnDrift.REAPPLY and drift.remedy is not None:
            self._add_task(self._put_right(drift, drift.remedy))

    def _report(self, drift: Drift, policy: OnDrift) -> None:
        if policy is OnDrift.REPORT:
            outlook = f"nothing is done about it (on_drift = {policy.value})"
        elif drift.remedy is None:
            outlook = f"nothing is done about it: {drift.hindrance}"
        else:
            outlook = drift.remedy.value
        file = self._view.shared_facts().own.path
        fields = about(Event.DRIFT_FOUND, module=drift.module, file=file, policy=policy.value)
        log.warning("%s; %s", drift.text, outlook, extra=fields)

    async def _put_right(self, drift: Drift, remedy: Remedy) -> None:
        self._acting.add(drift.module)
        try:
            job = None
            if remedy is Remedy.RELOAD:
                job = await self._changes.reload(drift.module, When.IDLE, OURSELVES)
            elif remedy is Remedy.IN_PLACE:
                await self._set_in_place(drift)
                log.log(NOTICE, "%s was corrected in the running module", drift.module)
            else:
                job = await self._write(drift)
            if job is not None:
                self._jobs.add(job.id)
        except NestdError as error:
            log.warning("%s cannot be corrected: %s", drift.module, error)
        finally:
            self._acting.discard(drift.module)

    async def _write(self, drift: Drift) -> Job | None:
        while True:
            change = await self._changes.request(drift.module, drift.wanted, When.IDLE)
            # The host changed meanwhile: start over.
            with contextlib.suppress(NeedsMoreAuthorization):
                return await self._changes.apply(change, OURSELVES)

    async def _set_in_place(self, drift: Drift) -> None:
        async with self._changes.reloads.lock:
            await self._view.settled()
            facts, reloads = self._view.facts(), self._changes.reloads
            await direct.set_in_place(reloads, facts, drift.module, drift.wanted, None, OURSELVES)
            self._view.config_changed()

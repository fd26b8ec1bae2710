# SPDX-License-Identifier: LGPL-2.1-or-later
"""Client requests to change KVM's modules: planned, checked, authorized, carried out.

Changes are served one at a time, in order of arrival, each based on the state after the previous
one. A change takes two calls so that the bus can ask for authorization in between: prepare() checks
it and finds out whether there is anything to do, apply() does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nestd.core.changes.change import (
    Change,
    Effect,
    check_allowed,
    check_effective,
    check_loadable,
    check_present,
    check_readable,
    check_supported,
    make_change,
)
from nestd.core.changes.loads import ModuleLoads, check_modules_enabled, check_next_load
from nestd.core.errors import Busy, FileChanged, Missing, NestdError, write_failed
from nestd.core.hidden import EVERYBODY, Reader
from nestd.core.journal_events import NOTICE, Event, about
from nestd.core.model import Blocker, Vendor, When
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.values import NESTED, as_text
from nestd.core.modules.view import HostView
from nestd.core.modules.wording import no_kvm
from nestd.core.reloads import direct
from nestd.core.reloads.chain import reload_members, users
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.queue import Reloads, Request
from nestd.host.editing.replacement import Replacement, prepare
from nestd.host.machine import initramfs

if TYPE_CHECKING:
    from nestd.core.changes.plan import Plan

SETTLE_SECONDS = 2.0
FILE_CHANGED_PAUSES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds to wait before editing a file again that somebody else has just changed."""

log = logging.getLogger(__name__)


class Changes:
    """Serves clients' changes. Reads go through the view, reloads through Reloads."""

    def __init__(self, view: HostView, reloads: Reloads) -> None:
        self.view = view
        self.reloads = reloads
        self.loads = ModuleLoads(view, reloads)
        self.on_change: list[Callable[[str], None]] = []  # called with the name, loaded or not

    async def plan(
        self, module: str, parameters: Mapping[str, str], when: When, reader: Reader = EVERYBODY
    ) -> Plan:
        """What a change would do, as far as READER may see it; changes nothing."""
        from nestd.core.changes import plan

        await self.view.read_types()
        await self.view.settled()
        facts = self.view.shared_facts().for_reader(sees_all=reader.sees_files)
        change = make_change(facts, module, parameters, when)
        image = await initramfs.holding(self.view.root, facts.release, module)
        reloads = change.effect is Effect.RELOAD
        dependents = users(facts, module) if reloads else ()
        found = await self.reloads.blockers(module) if reloads else ()
        in_the_way = self.view.hidden.blockers(found, reader)
        return plan.Plan(
            diff=await asyncio.to_thread(plan.diff, facts, change),
            steps=plan.steps(change, dependents),
            blockers=in_the_way,
            warnings=(
                *plan.warnings(facts, change, image),
                *plan.dependents_warnings(facts, dependents),
            ),
            token=change.token,
            refusal=self._refusal(facts, change, in_the_way),
        )

    def _refusal(
        self, facts: HostFacts, change: Change, in_the_way: Sequence[Blocker]
    ) -> NestdError | None:
        """The error that a request for CHANGE would get now, None if none."""
        try:
            self._check(facts, change)
        except NestdError as error:
            return error
        if change.when is When.NOW and in_the_way:
            return self.reloads.refusal(change.module, in_the_way)
        return None

    def prepare(
        self, module: str, parameters: Mapping[str, str], when: When, token: str | None = None
    ) -> Change:
        """Check a change of PARAMETERS ("" removes one). Raises the error that refuses it."""
        return self._prepared(self.view.facts(), module, parameters, when, token)

    def _prepared(
        self,
        facts: HostFacts,
        module: str,
        parameters: Mapping[str, str],
        when: When,
        token: str | None,
    ) -> Change:
        change = make_change(facts, module, parameters, when, token)
        self._check(facts, change)
        return change

    def _check(self, facts: HostFacts, change: Change) -> None:
        """Raise the error that refuses a well-formed change, if any."""
        check_effective(change)
        if self.view.kernel.can_load:
            state = self.view.derived(facts)
            if state.vendor is Vendor.NONE:
                raise Missing(no_kvm(state.backend))
        check_supported(self.view.kernel.can_load, change.effect)
        self.reloads.check_ours()
        if change.effect is Effect.RELOAD:
            check_modules_enabled(facts)
            self._check_dependents(facts, change.module)

    async def request(
        self, module: str, parameters: Mapping[str, str], when: When, token: str | None = None
    ) -> Change:
        """prepare() in its turn, based on the state after all earlier changes."""
        async with self.reloads.lock:
            await self._settled(module)
            await self.view.read_types()
            await self.view.settled()
            return self.prepare(module, parameters, when, token)

    async def apply(self, change: Change, uid: int) -> Job | None:
        """Make the change for the user UID; returns the reload's job, None if none was needed.

        Raises the errors of nestd.core.errors, or NeedsMoreAuthorization with nothing changed.
        """
        async with self.reloads.lock:
            # The state may have changed during authentication.
            asked, token = change, change.token if change.from_plan else None
            await self._settled(asked.module)
            for pause in (*FILE_CHANGED_PAUSES, None):
                await self.view.settled()
                facts = self.view.facts()
                change = self._prepared(facts, asked.module, asked.parameters, asked.when, token)
                check_allowed(change, asked)
                try:
                    with self._writing():
                        job = await self._apply(facts, change, uid)
                    break
                except FileChanged:
                    if pause is None or token is not None:
                        raise
                await asyncio.sleep(pause)
            if change.edits or change.effect is Effect.IN_PLACE:
                _announce(change, uid)
            await self.view.settled()
            for listener in self.on_change:
                listener(change.module)
            return job

    def prepare_reload(self, module: str) -> None:
        """Check a reload without a change. Raises the error that refuses it."""
        found = self.view.shared_facts().module(module)
        check_present(found)
        check_loadable(found, {})
        check_supported(self.view.kernel.can_load, Effect.RELOAD)
        check_readable(found)
        if not found.running.loaded:
            raise Missing(f"{module} is not loaded: there is nothing to reload.")
        check_modules_enabled(found.host)
        check_next_load(found)
        self.reloads.check_ours()
        self._check_dependents(found.host, module)

    def _check_dependents(self, facts: HostFacts, module: str) -> None:
        """Refuse a reload of MODULE if a module of its chain could not be loaded again."""
        for name in users(facts, module):
            check_next_load(facts.module(name))

    async def request_reload(self, module: str) -> None:
        """prepare_reload() in its turn, since a module is missing while it is being reloaded."""
        async with self.reloads.lock:
            await self._settled(module)
            await self.view.settled()
            self.prepare_reload(module)

    async def reload(self, module: str, when: When, uid: int) -> Job:
        """Reload MODULE with its present configuration, now or when idle.

        Only "nested" must have its configured value afterwards: a module may switch off other
        parameters that this hardware lacks (enable_shadow_vmcs, avic), which is logged.
        """
        async with self.reloads.lock:
            await self._settled(module)
            await self.view.settled()
            self.prepare_reload(module)
            facts = self.view.facts()
            following = as_text(facts.module(module).next_values)
            wanted = {name: value for name, value in following.items() if name == NESTED}
            request = Request(module, reload_members(facts, module, wanted))
            with self._writing():
                job = await self.reloads.start(facts, request, when=when, uid=uid)
            if when is When.NOW:
                self._log_adjusted(module)
            return job

    async def _settled(self, module: str) -> None:
        """Wait while somebody else is loading or unloading MODULE. Raises Busy."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.view.kernel.read_module(module).in_transit:
            if time.monotonic() > deadline:
                raise Busy(f"{module} is being loaded or unloaded by somebody else: try again.")
            await asyncio.sleep(SETTLE_SECONDS / 50)

    def _log_adjusted(self, module: str) -> None:
        found = self.view.facts().module(module)
        if found.running.loaded and found.pending:
            names = ", ".join(found.pending)
            log.warning("%s runs with other values than configured for %s", module, names)

    async def _apply(self, facts: HostFacts, change: Change, uid: int) -> Job | None:
        module, when = change.module, change.when
        replacement = await asyncio.to_thread(_replacement, facts, change)
        if change.effect is Effect.RELOAD:
            request = Request(
                module=module,
                members=reload_members(facts, module, as_text(change.wanted)),
                replacement=replacement,
                remake=functools.partial(self._remake, change),
            )
            return await self.reloads.start(facts, request, when=when, uid=uid)
        if change.effect is Effect.IN_PLACE:
            values = {name: value or "1" for name, value in change.wanted.items()}
            await direct.set_in_place(self.reloads, facts, module, values, replacement, uid)
        elif replacement is not None:
            await direct.write_file(self.reloads, module, replacement, uid)
        await self.reloads.supersede(module)
        return None

    async def _remake(self, change: Change) -> Replacement | None:
        """Apply the same edit to a file that was changed meanwhile."""
        self.view.config_changed()
        await self.view.settled()
        facts = self.view.facts()
        again = make_change(facts, change.module, change.parameters, change.when)
        check_effective(again)
        return await asyncio.to_thread(_replacement, facts, again)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Convert a file error into an error of nestd, and read everything again."""
        try:
            yield
        except OSError as error:
            raise write_failed(error) from error
        finally:
            self.view.config_changed()


def _announce(change: Change, uid: int) -> None:
    parameters = " ".join(f"{name}={value}" for name, value in change.parameters.items())
    fields = about(
        Event.VALUE_CHANGED,
        module=change.module,
        parameters=parameters,
        file=change.path,
        caller_uid=uid,
    )
    text = "User %d set %s of %s for %s"
    log.log(NOTICE, text, uid, parameters, change.module, change.when.value, extra=fields)


def _replacement(facts: HostFacts, change: Change) -> Replacement | None:
    """Prepare the new file beside the old one. Raises OSError, also while others write to it."""
    if not change.edits:
        return None
    replacement = prepare(facts.own.place, change.data, change.old)
    try:
        replacement.check_unchanged()
    except OSError:
        replacement.discard()
        raise
    return replacement

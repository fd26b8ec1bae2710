# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unloads and loads KVM without changing its configuration.

Without KVM the processor is free for another hypervisor, such as VirtualBox, until somebody loads
the module again or until the next boot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from nestd.core.changes.change import (
    Effect,
    check_present,
    check_reloadable,
    check_supported,
    check_unobstructed,
)
from nestd.core.errors import BuiltIn, Conflict, NotSupported, RolledBack
from nestd.core.journal_events import NOTICE, Event, about
from nestd.core.model import JobState, When
from nestd.core.modules.facts import HostFacts, KvmModule
from nestd.core.modules.obstacles import preventing
from nestd.core.modules.values import NESTED, as_text
from nestd.core.modules.vendors import COMMON
from nestd.core.modules.view import HostView
from nestd.core.modules.wording import NESTED_WITH_HUGE_PAGES
from nestd.core.reloads.chain import unload_members
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.load import Load
from nestd.core.reloads.queue import Reloads, Request, name_cause
from nestd.core.reloads.transaction import Member, Purpose, Transaction
from nestd.host.kernel.sysfs import Availability

log = logging.getLogger(__name__)


def check_next_load(module: KvmModule) -> None:
    """Refuse a module whose next load would fail or give other values. Raises the error."""
    check_reloadable(module)
    if module.conflicts:
        raise Conflict(NESTED_WITH_HUGE_PAGES)
    obstacle = preventing(module)
    check_unobstructed(None if obstacle is None else (module.name, obstacle))


def _check_separate(module: KvmModule) -> None:
    """Refuse a module that is part of the kernel image. Raises BuiltIn."""
    if module.running.availability is Availability.BUILTIN:
        raise BuiltIn(
            f"{module.name} is built into this kernel: it can be neither unloaded nor loaded."
        )


def check_modules_enabled(facts: HostFacts) -> None:
    """Refuse if modules cannot be loaded or unloaded before the next boot. Raises NotSupported."""
    if facts.modules_disabled:
        raise NotSupported(
            "No module can be loaded or unloaded until the next boot: kernel.modules_disabled is 1."
        )


class ModuleLoads:
    """Unloads and loads KVM's modules."""

    def __init__(self, view: HostView, reloads: Reloads) -> None:
        self._view = view
        self._reloads = reloads
        self.on_load: list[Callable[[], None]] = []  # called after a load, also a failed one

    def prepare_unload(self, module: str) -> bool:
        """Whether there is anything to unload. Raises the error that refuses it."""
        return bool(self._checked(module).modules[module].loaded)

    async def unload(self, module: str, when: When, uid: int) -> Job | None:
        """Unload MODULE and its chain for the user UID; None if it is not loaded.

        Raises Busy or Inhibited with nothing changed, and the errors of Reloads.start().
        """
        async with self._reloads.lock:
            await self._view.settled()
            if not self.prepare_unload(module):
                return None
            facts = self._view.facts()
            request = Request(module, unload_members(facts, module), purpose=Purpose.UNLOAD)
            return await self._reloads.start(facts, request, when=when, uid=uid)

    def prepare_load(self, module: str) -> tuple[str, ...]:
        """The modules to load, in order. Raises the error that refuses it."""
        facts = self._checked(module)
        missing = tuple(name for name in self._wanted(module) if not facts.modules[name].loaded)
        for name in missing:
            check_next_load(facts.module(name))
        return missing

    async def load(self, module: str, uid: int) -> None:
        """Load MODULE for the user UID (with kvm also the vendor's module), and verify it.

        Raises RolledBack with the previous state restored.
        """
        async with self._reloads.lock:
            await self._view.settled()
            names = self.prepare_load(module)
            if not names:
                return
            facts = self._view.facts()
            transaction = Transaction(
                job=await asyncio.to_thread(self._reloads.records.next_job),
                module=module,
                uid=uid,
                when=When.NOW,
                step=JobState.LOADING,
                members=tuple(map(_member, map(facts.module, names))),
                replacement=None,
                purpose=Purpose.LOAD,
            )
            fields = about(Event.MODULE_LOADED, module=module, caller_uid=uid)
            try:
                await Load(self._reloads.execution()).run(transaction)
            except RolledBack as error:
                name_cause(error, facts, names)
                log.warning("User %d was to load %s: %s", uid, module, error)
                raise
            finally:
                self._view.config_changed()
                for listener in self.on_load:
                    listener()
            log.log(NOTICE, "User %d loaded %s", uid, " and ".join(names), extra=fields)

    def _checked(self, module: str) -> HostFacts:
        facts = self._view.facts()
        found = facts.module(module)
        check_present(found)
        _check_separate(found)
        check_supported(self._view.kernel.can_load, Effect.RELOAD)
        check_modules_enabled(facts)
        self._reloads.check_ours()
        return facts

    def _wanted(self, module: str) -> tuple[str, ...]:
        """MODULE, followed by this host's vendor module if MODULE is common to all vendors."""
        names = {module}
        if module == COMMON:
            names.add(self._view.snapshot().host_module or module)
        return tuple(name for name in reversed(self._view.modules) if name in names)


def _member(module: KvmModule) -> Member:
    following = as_text(module.next_values)
    wanted = {name: value for name, value in following.items() if name == NESTED}
    return Member(module.name, wanted, {})

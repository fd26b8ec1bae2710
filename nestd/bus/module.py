# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Module: one KVM module."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from nestd.bus import arguments
from nestd.bus.authorization import Action, Authorizer, Verdict
from nestd.bus.declared import DeclaredInterface, needs, reads
from nestd.bus.errors import NAMES
from nestd.core.changes.change import Change, Effect, NeedsMoreAuthorization
from nestd.core.errors import NestdError
from nestd.core.hidden import Reader
from nestd.core.history.entry import Kind
from nestd.core.history.history import Request
from nestd.core.history.undo import undo_of
from nestd.core.model import Blocker, Module, When
from nestd.core.modules.values import NESTED
from nestd.core.services import Services
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.dbus.values import Call, Variant
from nestd.formats.api import module
from nestd.formats.api.names import NO_OBJECT, job_path

_TOKEN = {"token": "s"}
_NOT_AT_BOOT = (When.NOW, When.IDLE)


class ModuleInterface(DeclaredInterface):
    """The module NAME of a host."""

    spec = InterfaceSpec.of(module.TABLE)

    def __init__(self, services: Services, authorizer: Authorizer, name: str) -> None:
        super().__init__(authorizer)
        self._view = services.view
        self._changes = services.changes
        self._reloads = services.reloads
        self._history = services.history
        self._name = name
        self._told: tuple[Module, Mapping[str, object]] | None = None

    def properties(self) -> Mapping[str, object]:
        module = self._view.snapshot().modules[self._name]
        if self._told is None or self._told[0] is not module:
            self._told = module, _values(module)
        return self._told[1]

    @needs("SetNested", Action.CONFIGURE_MODULES, Action.RELOAD_MODULES)
    async def _set_nested(self, call: Call) -> Sequence[object]:
        enabled, word, options = call.args
        value = "1" if arguments.flag(enabled) else "0"
        return await self._change(call, {NESTED: value}, word, options)

    @needs("SetParameters", Action.CONFIGURE_MODULES, Action.RELOAD_MODULES)
    async def _set_parameters(self, call: Call) -> Sequence[object]:
        parameters, word, options = call.args
        return await self._change(call, arguments.strings(parameters), word, options)

    async def _change(
        self, call: Call, parameters: Mapping[str, str], word: object, options: object
    ) -> Sequence[object]:
        when = arguments.when(word, When)
        token = arguments.Options(options, _TOKEN).text("token")
        asked = ", ".join(f"{name}={value}" for name, value in sorted(parameters.items()))
        async with self._requested(call, Kind.CHANGE, f"{asked} ({when.value})") as request:
            return await self._make(call, request, parameters, when, token)

    async def _make(
        self,
        call: Call,
        request: Request,
        parameters: Mapping[str, str],
        when: When,
        token: str | None,
    ) -> Sequence[object]:
        while True:
            change = await self._changes.request(self._name, parameters, when, token)
            if change.nothing_to_do:
                return [NO_OBJECT]
            details = {"module": self._name}
            request.uid = uid = await self.authorize(call, _action(change), details)
            try:
                job = await self._changes.apply(change, uid)
            except NeedsMoreAuthorization:
                continue  # the change grew: ask polkit again
            request.happened, request.undo = True, undo_of(change)
            return [NO_OBJECT if job is None else job_path(job.id)]

    def _requested(
        self, call: Call, kind: Kind, asked: str
    ) -> AbstractAsyncContextManager[Request]:
        """Record the request and its outcome in the history."""
        who = functools.partial(self.authorizer.uid_of, call.sender)
        return self._history.request(kind, self._name, asked, who)

    @needs("Reload", Action.RELOAD_MODULES)
    async def _reload(self, call: Call) -> Sequence[object]:
        word, options = call.args
        when = arguments.when(word, _NOT_AT_BOOT)
        arguments.Options(options, {})
        async with self._requested(call, Kind.RELOAD, f"reload ({when.value})") as request:
            await self._changes.request_reload(self._name)
            details = {"module": self._name}
            request.uid = uid = await self.authorize(call, Action.RELOAD_MODULES, details)
            job = await self._changes.reload(self._name, when, uid)
            request.happened = when is When.NOW  # otherwise the job's end is a separate event
            return [job_path(job.id)]

    @needs("Unload", Action.RELOAD_MODULES)
    async def _unload(self, call: Call) -> Sequence[object]:
        word, options = call.args
        when = arguments.when(word, _NOT_AT_BOOT)
        arguments.Options(options, {})
        loads = self._changes.loads
        async with self._requested(call, Kind.RELOAD, f"unload ({when.value})") as request:
            if not loads.prepare_unload(self._name):
                return [NO_OBJECT]
            details = {"module": self._name}
            request.uid = uid = await self.authorize(call, Action.RELOAD_MODULES, details)
            job = await loads.unload(self._name, when, uid)
            request.happened = job is not None and when is When.NOW
            return [NO_OBJECT if job is None else job_path(job.id)]

    @needs("Load", Action.RELOAD_MODULES)
    async def _load(self, call: Call) -> Sequence[object]:
        [options] = call.args
        arguments.Options(options, {})
        loads = self._changes.loads
        async with self._requested(call, Kind.RELOAD, "load") as request:
            if loads.prepare_load(self._name):
                details = {"module": self._name}
                request.uid = uid = await self.authorize(call, Action.RELOAD_MODULES, details)
                await loads.load(self._name, uid)
                request.happened = True
        return []

    @reads("Plan")
    async def _plan(self, call: Call) -> Sequence[object]:
        parameters, word = call.args
        when = arguments.when(word, When)
        reader = await self._reader(call)
        plan = await self._changes.plan(self._name, arguments.strings(parameters), when, reader)
        reply = {
            "diff": Variant("s", plan.diff),
            "steps": Variant("as", plan.steps),
            "blockers": Variant("a(ssus)", blockers(plan.blockers)),
            "warnings": Variant("as", plan.warnings),
            "token": Variant("s", plan.token),
        }
        if plan.refusal is not None:
            reply["refusal"] = Variant("(ss)", (NAMES[type(plan.refusal)], str(plan.refusal)))
        return [reply]

    @reads("ListBlockers")
    async def _list_blockers(self, call: Call) -> Sequence[object]:
        reader = await self._reader(call)
        found = await self._reloads.blockers(self._name)
        return [blockers(self._view.hidden.blockers(found, reader))]

    async def _reader(self, call: Call) -> Reader:
        """The caller's rights; asks polkit only if the host hides anything."""
        private = self._view.shared_facts().private
        return await self.authorizer.reader(
            call,
            files=Action.CONFIGURE_MODULES if private else None,
            processes=Action.RELOAD_MODULES if self._view.hidden.processes else None,
        )

    @reads("CanReload")
    async def _can_reload(self, call: Call) -> Sequence[object]:
        try:
            self._changes.prepare_reload(self._name)
        except NestdError:
            return ["na"]
        if await self._reloads.blockers(self._name):
            return ["blocked"]
        details = {"module": self._name}
        verdict: Verdict = await self.authorizer.check(call, Action.RELOAD_MODULES, details)
        return [verdict.value]


def _values(module: Module) -> Mapping[str, object]:
    """The values of all properties of MODULE."""
    return {
        "Name": module.name,
        "Availability": module.availability.value,
        "Loaded": module.loaded,
        "RefCount": module.refcount,
        "Parameters": module.parameters,
        "Configured": module.configured,
        "Assignments": [
            (each.parameter, each.value or "", each.file, each.line) for each in module.assignments
        ],
        "Nested": module.nested.value,
        "NestedConfigured": module.nested_configured.value,
        "NestedNext": module.nested_next.value,
        "State": module.state.value,
        "NestedAtBoot": module.nested_at_boot.value,
        "LoadObstacles": list(map(tuple, module.load_obstacles)),
        "ReadError": module.read_error,
        "Pending": list(map(tuple, module.pending)),
    }


def blockers(found: Sequence[Blocker]) -> list[object]:
    """Blockers as a(ssus)."""
    return [(each.kind.value, each.name, each.pid, each.detail) for each in found]


def _action(change: Change) -> Action:
    """The action that the change needs: one, since a reload includes writing its configuration."""
    reloads = change.effect is Effect.RELOAD
    return Action.RELOAD_MODULES if reloads else Action.CONFIGURE_MODULES

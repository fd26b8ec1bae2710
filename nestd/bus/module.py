# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Module: one KVM module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nestd.bus import arguments
from nestd.bus.authorization import Action, Authorizer, Verdict
from nestd.core.changes.change import Change, Effect, MoreToDo
from nestd.core.errors import NestdError
from nestd.core.manager import Manager
from nestd.core.model import Blocker, When
from nestd.core.modules.values import NESTED
from nestd.dbus.connection.wire import Call, Variant
from nestd.dbus.objects.exported import Handler, Interface
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.formats.api import module
from nestd.formats.api.names import NO_OBJECT, job_path

_TOKEN = {"token": "s"}
_NOT_AT_BOOT = (When.NOW, When.IDLE)


class ModuleInterface(Interface):
    """The module NAME of a Manager."""

    spec = InterfaceSpec.of(module.TABLE)

    def __init__(self, manager: Manager, authorizer: Authorizer, name: str) -> None:
        self._manager = manager
        self._authorizer = authorizer
        self._name = name

    def methods(self) -> Mapping[str, Handler]:
        return {
            "SetNested": self._set_nested,
            "SetParameters": self._set_parameters,
            "Reload": self._reload,
            "Plan": self._plan,
            "ListBlockers": self._list_blockers,
            "CanReload": self._can_reload,
        }

    def properties(self) -> Mapping[str, object]:
        module = self._manager.view.snapshot().modules[self._name]
        return {
            "Name": module.name,
            "Availability": module.availability.value,
            "Loaded": module.loaded,
            "RefCount": module.refcount,
            "Parameters": module.parameters,
            "Configured": module.configured,
            "Assignments": [
                (each.parameter, each.value or "", each.file, each.line)
                for each in module.assignments
            ],
            "Nested": module.nested.value,
            "NestedConfigured": module.nested_configured.value,
            "NestedNext": module.nested_next.value,
            "State": module.state.value,
        }

    async def _set_nested(self, call: Call) -> Sequence[object]:
        enabled, word, options = call.args
        return await self._change(call, {NESTED: "1" if enabled else "0"}, word, options)

    async def _set_parameters(self, call: Call) -> Sequence[object]:
        parameters, word, options = call.args
        return await self._change(call, arguments.strings(parameters), word, options)

    async def _change(
        self, call: Call, parameters: Mapping[str, str], word: object, options: object
    ) -> Sequence[object]:
        when = arguments.when(word, When)
        given = arguments.options(options, _TOKEN)
        token = str(given["token"]) if "token" in given else None
        while True:
            change = await self._manager.request(self._name, parameters, when, token)
            if change.nothing_to_do:
                return [NO_OBJECT]
            details = {"module": self._name}
            for action in _actions(change):
                await self._authorizer.require(call, action, details)
            uid = await self._authorizer.uid_of(call.sender)
            try:
                job = await self._manager.apply(change, uid)
            except MoreToDo:
                continue  # than the caller was asked leave for
            return [NO_OBJECT if job is None else job_path(job.id)]

    async def _reload(self, call: Call) -> Sequence[object]:
        word, options = call.args
        when = arguments.when(word, _NOT_AT_BOOT)
        arguments.options(options, {})
        await self._manager.request_reload(self._name)
        details = {"module": self._name}
        await self._authorizer.require(call, Action.RELOAD_MODULES, details)
        uid = await self._authorizer.uid_of(call.sender)
        job = await self._manager.reload(self._name, when, uid)
        return [job_path(job.id)]

    async def _plan(self, call: Call) -> Sequence[object]:
        parameters, word = call.args
        when = arguments.when(word, When)
        plan = await self._manager.plan(self._name, arguments.strings(parameters), when)
        return [
            {
                "diff": Variant("s", plan.diff),
                "steps": Variant("as", plan.steps),
                "blockers": Variant("a(ssus)", blockers(plan.blockers)),
                "warnings": Variant("as", plan.warnings),
                "token": Variant("s", plan.token),
            }
        ]

    async def _list_blockers(self, call: Call) -> Sequence[object]:
        return [blockers(await self._manager.blockers(self._name))]

    async def _can_reload(self, call: Call) -> Sequence[object]:
        try:
            self._manager.prepare_reload(self._name)
        except NestdError:
            return ["na"]
        if await self._manager.blockers(self._name):
            return ["blocked"]
        details = {"module": self._name}
        verdict: Verdict = await self._authorizer.check(call, Action.RELOAD_MODULES, details)
        return [verdict.value]


def blockers(found: Sequence[Blocker]) -> list[object]:
    """Blockers as a(ssus)."""
    return [(each.kind.value, each.name, each.pid, each.detail) for each in found]


def _actions(change: Change) -> Iterator[Action]:
    """What the change needs leave for."""
    if change.edits or change.effect is Effect.IN_PLACE:
        yield Action.CONFIGURE_MODULES
    if change.effect is Effect.RELOAD:
        yield Action.RELOAD_MODULES

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Declares the authorization of each method beside its handler; undeclared methods are denied.

    @reads("ListMachines")
    async def _list_machines(self, call): ...

    @needs("SetNested", Action.CONFIGURE_MODULES, Action.RELOAD_MODULES)
    async def _set_nested(self, call): ...

An interface with a method or a writable property without such a declaration cannot be exported, and
a handler cannot ask polkit for an action that it has not declared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Callable, ClassVar, TypeVar

from nestd.bus.authorization import Action, Authorizer
from nestd.dbus.objects.exported import Handler, Interface
from nestd.dbus.values import Call

_Method = TypeVar("_Method", bound=Callable[..., Awaitable[Sequence[object]]])
_MEMBER, _ACTIONS = "_nestd_member", "_nestd_actions"


def reads(member: str) -> Callable[[_Method], _Method]:
    """Mark the handler of a method that changes nothing and may be called by everyone."""
    return _declare(member, frozenset())


def needs(member: str, action: Action, *more: Action) -> Callable[[_Method], _Method]:
    """Mark the handler of a method that changes something, with the polkit actions it may need."""
    return _declare(member, frozenset((action, *more)))


def _declare(member: str, actions: frozenset[Action]) -> Callable[[_Method], _Method]:
    def mark(handler: _Method) -> _Method:
        setattr(handler, _MEMBER, member)
        setattr(handler, _ACTIONS, actions)
        return handler

    return mark


class DeclaredInterface(Interface):
    """One of nestd's interfaces; settable maps each writable property to the action it needs."""

    settable: ClassVar[Mapping[str, Action]] = {}

    def __init__(self, authorizer: Authorizer) -> None:
        self.authorizer = authorizer
        self._handlers = _handlers(self)
        self._needed = {name: getattr(each, _ACTIONS) for name, each in self._handlers.items()}
        writable = {name for name, each in self.spec.properties.items() if each.writable}
        undeclared = (self.spec.methods.keys() - self._handlers) | (writable ^ self.settable.keys())
        if undeclared:
            names = ", ".join(sorted(undeclared))
            raise TypeError(f"{self.spec.name}: {names} declares neither reading nor an action")

    def methods(self) -> Mapping[str, Handler]:
        return self._handlers

    def reads(self, member: str) -> bool:
        return not self._needed[member]

    async def authorize(self, call: Call, action: Action, details: Mapping[str, str]) -> int:
        """The caller's user id, if the caller may do ACTION: see Authorizer.require()."""
        allowed = self._needed.get(call.member, frozenset(self.settable.values()))
        if action not in allowed:
            raise RuntimeError(f"{self.spec.name}.{call.member} does not declare {action.value}")
        return await self.authorizer.require(call, action, details)


def _handlers(interface: Interface) -> dict[str, Any]:
    """The declared handlers by method name."""
    found = {}
    for name in dir(type(interface)):
        member = getattr(getattr(type(interface), name), _MEMBER, None)
        if member is not None:
            found[member] = getattr(interface, name)
    return found

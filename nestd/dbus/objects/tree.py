# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tree of objects on a connection: routes calls to them and signals their changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol, cast

from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.dbus.objects.exported import Exported, Handler, Interface
from nestd.dbus.objects.freedesktop import OBJECT_MANAGER, PROPERTIES
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.dbus.objects.standard_interfaces import (
    StandardInterfaces,
    unknown_interface,
    unknown_method,
    unknown_object,
)
from nestd.dbus.values import Call, Route

__all__ = ["Interface", "ObjectTree"]

Translate = Callable[[Exception], "BusError | None"]
"""Maps the program's own exceptions to D-Bus errors; None for bugs."""


class Settled(Protocol):
    """The state that properties are read from."""

    @property
    def is_settled(self) -> bool:
        """Whether it can be read at once, without waiting for a disk."""

    async def settled(self, call: Call) -> None:
        """Wait until the part of it that CALL needs can be read."""


_READING = ("Get", "GetAll", "GetManagedObjects")
_MOST_ROUTES = 512
Answer = Callable[[Call], "Sequence[object] | Awaitable[Sequence[object]]"]


class ObjectTree:
    """The objects exported on a connection; answers all calls on it."""

    def __init__(
        self,
        connection: Connection,
        manager_path: str = "/org/nestd1",
        *,
        machine_id: str = "",
        translate: Translate = lambda error: None,
        settled: Settled | None = None,
    ) -> None:
        self._connection = connection
        self._manager_path = manager_path
        self._translate = translate
        self._settled = settled
        self._objects: dict[str, Exported] = {}
        self._routes: dict[tuple[str, str, str], Route] = {}  # routes of earlier calls
        self._standard = StandardInterfaces(self._objects, manager_path, machine_id, self.refresh)
        connection.on_call(self._resolve)

    def export(self, path: str, interfaces: Sequence[Interface]) -> None:
        """Add an object; signal it if it is below the manager.

        Raises ValueError if the path is taken or handlers differ from the spec.
        """
        if path in self._objects:
            raise ValueError(f"{path} is exported already")
        exported = self._objects[path] = Exported(path, interfaces)
        self._routes.clear()
        if self._managed(path):
            self._emit(
                self._manager_path, OBJECT_MANAGER, "InterfacesAdded", path, exported.announced
            )

    def unexport(self, path: str) -> None:
        """Remove an object; signal it if it was below the manager. Raises KeyError."""
        exported = self._objects.pop(path)
        self._routes.clear()
        if self._managed(path):
            names = list(exported.interfaces)
            self._emit(self._manager_path, OBJECT_MANAGER, "InterfacesRemoved", path, names)

    def refresh(self, path: str = "") -> None:
        """Signal the properties of PATH, "" for all, that have changed since the last signal."""
        for exported in [self._objects[path]] if path else list(self._objects.values()):
            for change in exported.changes():
                self._emit(
                    exported.path,
                    PROPERTIES,
                    "PropertiesChanged",
                    change.interface,
                    change.values,
                    change.invalidated,
                )

    def emit(self, path: str, interface: str, member: str, *args: object) -> None:
        """Send a signal of an exported object; raises KeyError, ValueError for wrong arguments."""
        self._emit(path, self._objects[path].interfaces[interface].spec, member, *args)

    def _emit(self, path: str, spec: InterfaceSpec, member: str, *args: object) -> None:
        self._connection.emit(path, spec.name, member, spec.signals[member], args)

    def _managed(self, path: str) -> bool:
        return path.startswith(self._manager_path + "/")

    def _resolve(self, path: str, interface: str, member: str) -> Route:
        """The route of a call; raises BusError."""
        route = self._routes.get((path, interface, member))
        if route is None:
            route = self._look_up(path, interface, member)
            if len(self._routes) >= _MOST_ROUTES:  # bounded, as every path has Peer
                self._routes.clear()
            self._routes[path, interface, member] = route
        return route

    def _look_up(self, path: str, interface: str, member: str) -> Route:
        exported = self._objects.get(path)
        own = [each.spec for each in exported.interfaces.values()] if exported else []
        specs = [*own, *self._standard.at(path)]
        named = [spec for spec in specs if interface in ("", spec.name)]
        for spec in named:
            if member in spec.methods:
                return self._route(exported, spec, member)
        if not exported:
            raise unknown_object(path)
        if not named:
            raise unknown_interface(path, interface)
        raise unknown_method(path, member)

    def _route(self, exported: Exported | None, spec: InterfaceSpec, member: str) -> Route:
        types = spec.methods[member]
        if exported and spec.name in exported.interfaces:
            run = self._translated(exported.handlers[spec.name][member])
            reads = exported.interfaces[spec.name].reads(member)
            return Route(spec.name, types.in_signature, types.out_signature, run, reads=reads)
        if member in self._standard.inline:
            answer = self._standard.inline[member]
            signatures = types.in_signature, types.out_signature
            route = Route(spec.name, *signatures, answer, inline=True, reads=True)
            return route if member not in _READING else self._when_settled(route)
        run = self._translated(self._standard.set)
        return Route(spec.name, types.in_signature, types.out_signature, run)

    def _when_settled(self, route: Route) -> Route:
        settled = self._settled
        if settled is None:
            return route
        answer = cast("Callable[[Call], Sequence[object]]", route.run)

        def at_once(call: Call) -> Sequence[object] | None:
            known = self._standard.constant(call)
            if known is not None:
                return known
            return answer(call) if settled.is_settled else None

        late = replace(route, run=_after(settled, answer), inline=False)
        return replace(route, run=at_once, otherwise=late)

    def _translated(self, handler: Handler) -> Handler:
        async def run(call: Call) -> Sequence[object]:
            try:
                if self._settled is not None and not self._settled.is_settled:
                    await self._settled.settled(call)
                return await handler(call)
            except BusError:
                raise
            except Exception as error:
                known = self._translate(error)
                if known is None:
                    raise
                raise known from error

        return run


def _after(settled: Settled, answer: Answer) -> Handler:
    async def run(call: Call) -> Sequence[object]:
        await settled.settled(call)
        return cast("Sequence[object]", answer(call))

    return run

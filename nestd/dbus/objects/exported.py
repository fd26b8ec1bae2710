# SPDX-License-Identifier: LGPL-2.1-or-later
"""An object on the bus: the base class of its interfaces, and the last announced properties."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from nestd.dbus.connection.protocol import Packed, check_value
from nestd.dbus.errors import PROPERTY_READ_ONLY, BusError
from nestd.dbus.objects.interface import Emits, InterfaceSpec
from nestd.dbus.values import Call

_log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[Sequence[object]]]
"""Returns the values of the method's out arguments; raises BusError."""


class Interface:
    """One interface of one object. Subclasses define its spec, methods and properties."""

    spec: ClassVar[InterfaceSpec]

    def methods(self) -> Mapping[str, Handler]:
        """The handler of each method in the spec; called once."""
        return {}

    def reads(self, member: str) -> bool:
        """Whether this method changes nothing: a call that wants no reply is then skipped."""
        return False

    def properties(self) -> Mapping[str, object]:
        """The current value of each property in the spec. Must be quick: called often.

        Returning the same mapping object as before means that no value has changed.
        """
        return {}

    async def set_property(self, call: Call, name: str, value: object) -> None:
        """Set a writable property to a value of the right type; raises BusError."""
        raise BusError(PROPERTY_READ_ONLY, f"The property {name} cannot be set.")


@dataclass(frozen=True)
class Change:
    """The content of one PropertiesChanged signal."""

    interface: str
    values: Mapping[str, Packed]
    invalidated: Sequence[str]


class Exported:
    """The interfaces at one path."""

    def __init__(self, path: str, interfaces: Sequence[Interface]) -> None:
        self.path = path
        self.interfaces = {each.spec.name: each for each in interfaces}
        self.handlers = {each.spec.name: _handlers(each) for each in interfaces}
        self._reported: set[str] = set()
        self._known: dict[str, tuple[Mapping[str, object], Mapping[str, Packed]]] = {}
        self.announced: dict[str, Mapping[str, Packed]] = {name: {} for name in self.interfaces}
        self.announced = self.read_all()

    def read_all(self) -> dict[str, Mapping[str, Packed]]:
        """Current properties of all interfaces."""
        return {name: self.read(name) for name in self.interfaces}

    def read(self, interface: str) -> Mapping[str, Packed]:
        """Current properties of an interface. Never fails: unreadable ones stay as announced.

        The same mapping object as before is not packed again.
        """
        source = self.interfaces[interface]
        known = self._known.get(interface)
        try:
            values = source.properties()
        except Exception:
            self._report(interface)
            return dict(self.announced[interface])
        if known is not None and values is known[0]:
            return known[1]
        packed = dict(self.announced[interface])
        for name, spec in source.spec.properties.items():
            try:
                packed[name] = check_value(spec.signature, values[name])
            except Exception:
                self._report(f"{interface}.{name}")
        self._known[interface] = values, packed
        return packed

    def constant(self, interface: str, name: str) -> Packed | None:
        """The value of a property if it is constant, else None."""
        if self.interfaces[interface].spec.properties[name].emits is Emits.CONST:
            return self.announced[interface].get(name)
        return None

    def _report(self, name: str) -> None:
        """Log the current exception once, since anyone may read properties at any rate."""
        if name not in self._reported:
            self._reported.add(name)
            _log.exception("%s of %s cannot be read", name, self.path)

    def changes(self) -> Iterator[Change]:
        """The changes since the last announcement, which then count as announced."""
        for name, source in self.interfaces.items():
            before, now = self.announced[name], self.read(name)
            self.announced[name] = now
            changed = [key for key in now if key not in before or now[key] != before[key]]
            emits = {key: source.spec.properties[key].emits for key in changed}
            values = {key: now[key] for key in changed if emits[key] is Emits.VALUE}
            invalidated = [key for key in changed if emits[key] is Emits.INVALIDATION]
            if values or invalidated:
                yield Change(name, values, invalidated)


def _handlers(interface: Interface) -> Mapping[str, Handler]:
    handlers = interface.methods()
    if handlers.keys() != interface.spec.methods.keys():
        odd = ", ".join(sorted(handlers.keys() ^ interface.spec.methods.keys()))
        raise ValueError(f"{interface.spec.name} and its handlers differ in {odd}")
    return handlers

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interfaces that every object has: Introspectable, Peer, Properties and ObjectManager."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nestd.dbus import errors
from nestd.dbus.errors import BusError
from nestd.dbus.objects.exported import Exported, Interface
from nestd.dbus.objects.freedesktop import INTROSPECTABLE, OBJECT_MANAGER, PEER, PROPERTIES
from nestd.dbus.objects.interface import InterfaceSpec, PropertySpec
from nestd.dbus.values import Call, Variant

_DOCTYPE = """<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
"""


class StandardInterfaces:
    """The methods of these interfaces, for a tree that others fill."""

    def __init__(
        self,
        objects: Mapping[str, Exported],
        manager_path: str,
        machine_id: str,
        refresh: Callable[[], None],
    ) -> None:
        self._objects = objects
        self._manager_path = manager_path
        self._machine_id = machine_id
        self._refresh = refresh
        self.inline: Mapping[str, Callable[[Call], Sequence[object]]] = {
            "Introspect": self._introspect,
            "Ping": self._ping,
            "GetMachineId": self._get_machine_id,
            "Get": self._get,
            "GetAll": self._get_all,
            "GetManagedObjects": self._get_managed_objects,
        }

    def at(self, path: str) -> list[InterfaceSpec]:
        """The standard interfaces of a path. Peer is about the connection: every path has it."""
        if path in self._objects:
            manager = [OBJECT_MANAGER] if path == self._manager_path else []
            return [INTROSPECTABLE, PEER, PROPERTIES, *manager]
        return [INTROSPECTABLE, PEER] if self._children(path) else [PEER]

    async def set(self, call: Call) -> Sequence[object]:
        """Properties.Set."""
        name, value = str(call.args[1]), call.args[2]
        interface, spec = self._property(call.path, str(call.args[0]), name)
        if not spec.writable:
            raise BusError(errors.PROPERTY_READ_ONLY, f"The property {name} cannot be set.")
        assert isinstance(value, Variant)
        if value.signature != spec.signature:
            text = f'{name} takes "{spec.signature}", not "{value.signature}".'
            raise BusError(errors.INVALID_ARGS, text)
        await interface.set_property(call, name, value.value)
        self._refresh()
        return []

    def _introspect(self, call: Call) -> Sequence[object]:
        exported = self._objects.get(call.path)
        own = [each.spec for each in exported.interfaces.values()] if exported else []
        parts = [spec.xml for spec in [*self.at(call.path), *own]]
        parts += [f'<node name="{name}"/>' for name in self._children(call.path)]
        return ["\n".join([_DOCTYPE + "<node>", *parts, "</node>\n"])]

    def _children(self, path: str) -> list[str]:
        prefix = path.rstrip("/") + "/"
        below = (each[len(prefix) :] for each in self._objects if each.startswith(prefix))
        return sorted({each.split("/")[0] for each in below if each})

    def _ping(self, call: Call) -> Sequence[object]:
        return []

    def _get_machine_id(self, call: Call) -> Sequence[object]:
        if not self._machine_id:
            raise BusError(errors.FAILED, "This machine has no machine ID.")
        return [self._machine_id]

    def _get(self, call: Call) -> Sequence[object]:
        interface, _ = self._property(call.path, str(call.args[0]), str(call.args[1]))
        return [self._exported(call.path).read(interface.spec.name)[str(call.args[1])]]

    def constant(self, call: Call) -> Sequence[object] | None:
        """The answer to a Get of a constant property; None for any other call."""
        if call.member != "Get":
            return None
        interface, name = str(call.args[0]), str(call.args[1])
        source, _ = self._property(call.path, interface, name)
        value = self._objects[call.path].constant(source.spec.name, name)
        return None if value is None else [value]

    def _get_all(self, call: Call) -> Sequence[object]:
        names = self._interfaces(call.path, str(call.args[0]))
        exported = self._exported(call.path)
        return [{key: value for name in names for key, value in exported.read(name).items()}]

    def _get_managed_objects(self, call: Call) -> Sequence[object]:
        below = self._manager_path + "/"
        objects = self._objects.values()
        return [{each.path: each.read_all() for each in objects if each.path.startswith(below)}]

    def _exported(self, path: str) -> Exported:
        """The object; raises BusError if it has gone since the call was routed."""
        exported = self._objects.get(path)
        if exported is None:
            raise unknown_object(path)
        return exported

    def _interfaces(self, path: str, name: str) -> list[str]:
        """The object's own interfaces called NAME, all for ""; raises BusError."""
        own = self._exported(path).interfaces
        if name in own:
            return [name]
        if not name:
            return list(own)
        if any(name == standard.name for standard in self.at(path)):
            return []
        raise unknown_interface(path, name)

    def _property(self, path: str, interface: str, name: str) -> tuple[Interface, PropertySpec]:
        for candidate in self._interfaces(path, interface):
            found = self._exported(path).interfaces[candidate]
            if name in found.spec.properties:
                return found, found.spec.properties[name]
        raise BusError(errors.UNKNOWN_PROPERTY, f"There is no property {_shown(name)}.")


def unknown_object(path: str) -> BusError:
    """There is nothing at the path."""
    return BusError(errors.UNKNOWN_OBJECT, f"There is no object {_shown(path)}.")


def unknown_interface(path: str, interface: str) -> BusError:
    """The object lacks the interface."""
    text = f"The object {_shown(path)} has no interface {_shown(interface)}."
    return BusError(errors.UNKNOWN_INTERFACE, text)


def unknown_method(path: str, member: str) -> BusError:
    """The object, or the interface that was named, lacks the method."""
    text = f"The object {_shown(path)} has no such method {_shown(member)}."
    return BusError(errors.UNKNOWN_METHOD, text)


def _shown(name: str) -> str:
    """A name from a caller in a form that is safe in a message."""
    text = "".join(char if char.isprintable() else "?" for char in name[:256])
    return text + ("..." if len(name) > 256 else "")

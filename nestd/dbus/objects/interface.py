# SPDX-License-Identifier: LGPL-2.1-or-later
"""The specification of an interface: the types of its members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

Arguments = tuple[tuple[str, str], ...]
"""Name and type of each argument, in order."""


class MethodTable(Protocol):
    """The arguments of a method in a generated table."""

    @property
    def takes(self) -> Arguments: ...
    @property
    def gives(self) -> Arguments: ...


class PropertyTable(Protocol):
    """A property in a generated table."""

    @property
    def signature(self) -> str: ...
    @property
    def access(self) -> str: ...
    @property
    def emits(self) -> str: ...


class InterfaceTable(Protocol):
    """An interface as generated literals, so that no start parses XML."""

    @property
    def name(self) -> str: ...
    @property
    def methods(self) -> Mapping[str, MethodTable]: ...
    @property
    def properties(self) -> Mapping[str, PropertyTable]: ...
    @property
    def signals(self) -> Mapping[str, Arguments]: ...
    @property
    def xml(self) -> str: ...


class Emits(Enum):
    """What PropertiesChanged contains of a property; values as in the annotation."""

    VALUE = "true"
    CONST = "const"
    NOTHING = "false"
    INVALIDATION = "invalidates"


@dataclass(frozen=True)
class MethodSpec:
    """Types of a method's arguments, in and out."""

    in_signature: str
    out_signature: str


@dataclass(frozen=True)
class PropertySpec:
    """Type of a property, and whether it is writable and signalled."""

    signature: str
    writable: bool
    emits: Emits


@dataclass(frozen=True)
class InterfaceSpec:
    """An interface: its members by name, and its <interface> element for Introspect()."""

    name: str
    methods: Mapping[str, MethodSpec]
    properties: Mapping[str, PropertySpec]
    signals: Mapping[str, str]
    xml: str

    @classmethod
    def of(cls, table: InterfaceTable) -> InterfaceSpec:
        """The interface that a generated table describes."""
        return cls(
            name=table.name,
            methods={
                name: MethodSpec(_types(method.takes), _types(method.gives))
                for name, method in table.methods.items()
            },
            properties={
                name: PropertySpec(each.signature, each.access == "readwrite", Emits(each.emits))
                for name, each in table.properties.items()
            },
            signals={name: _types(arguments) for name, arguments in table.signals.items()},
            xml=table.xml,
        )


def _types(arguments: Arguments) -> str:
    return "".join(signature for _, signature in arguments)

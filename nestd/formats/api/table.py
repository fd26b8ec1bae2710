# SPDX-License-Identifier: LGPL-2.1-or-later
"""The types of an interface's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Arguments = tuple[tuple[str, str], ...]
"""Name and D-Bus type of each argument, in order."""


class MethodTable(NamedTuple):
    """The arguments of a method."""

    takes: Arguments
    gives: Arguments


class PropertyTable(NamedTuple):
    """A property: its D-Bus type, "read" or "readwrite", and its EmitsChangedSignal annotation."""

    signature: str
    access: str
    emits: str


class InterfaceTable(NamedTuple):
    """An interface; xml is its <interface> element without comments, as Introspect shows it."""

    name: str
    methods: Mapping[str, MethodTable]
    properties: Mapping[str, PropertyTable]
    signals: Mapping[str, Arguments]
    xml: str

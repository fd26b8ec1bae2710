# SPDX-License-Identifier: LGPL-2.1-or-later
"""The contract of an interface, read from the XML that is shipped and shown by Introspect."""

from __future__ import annotations

import functools
import importlib.resources
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"


class Emits(Enum):
    """What PropertiesChanged tells of a property; values as in the annotation."""

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
    """Type of a property, and whether it can be set and is signalled."""

    signature: str
    writable: bool
    emits: Emits


@dataclass(frozen=True)
class InterfaceSpec:
    """An interface: its members by name, and its <interface> element for Introspect."""

    name: str
    methods: Mapping[str, MethodSpec]
    properties: Mapping[str, PropertySpec]
    signals: Mapping[str, str]
    xml: str

    @classmethod
    def load(cls, name: str) -> InterfaceSpec:
        """The interface in the shipped file NAME.xml; raises FileNotFoundError."""
        return _load(name)

    @classmethod
    def parse(cls, text: str) -> InterfaceSpec:
        """The one interface in an introspection document, which is ours and trusted."""
        element = ET.fromstring(text).find("interface")
        if element is None:
            raise ValueError("the document holds no interface")
        return cls(
            name=element.attrib["name"],
            methods={each.attrib["name"]: _method(each) for each in element.iter("method")},
            properties={each.attrib["name"]: _property(each) for each in element.iter("property")},
            signals={each.attrib["name"]: _types(each) for each in element.iter("signal")},
            xml=_text(element),
        )


@functools.cache
def _load(name: str) -> InterfaceSpec:
    folder = importlib.resources.files("nestd.bus.interfaces")
    return InterfaceSpec.parse((folder / f"{name}.xml").read_text("utf-8"))


def _method(element: ET.Element) -> MethodSpec:
    return MethodSpec(_types(element, "in"), _types(element, "out"))


def _types(element: ET.Element, direction: str | None = None) -> str:
    """The types of all arguments that go this way; signals have no directions."""
    args = element.iter("arg")
    return "".join(
        arg.attrib["type"]
        for arg in args
        if direction is None or arg.attrib.get("direction", "in") == direction
    )


def _property(element: ET.Element) -> PropertySpec:
    notes = {each.attrib["name"]: each.attrib["value"] for each in element.iter("annotation")}
    writable = element.attrib["access"] == "readwrite"
    return PropertySpec(element.attrib["type"], writable, Emits(notes.get(_EMITS, "true")))


def _text(element: ET.Element) -> str:
    """The element as text, without comments and the empty lines they leave."""
    return re.sub(r"\n\s*\n", "\n", ET.tostring(element, encoding="unicode").strip())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads an interface from trusted introspection XML, which the program itself ships.

Importing this loads an XML parser: a service that starts often generates its tables beforehand.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from nestd.dbus.objects.interface import Emits, InterfaceSpec, MethodSpec, PropertySpec

_EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def parse(text: str) -> InterfaceSpec:
    """The one interface in an introspection document; raises ValueError if it holds none."""
    element = ET.fromstring(text).find("interface")
    if element is None:
        raise ValueError("the document holds no interface")
    return InterfaceSpec(
        name=element.attrib["name"],
        methods={each.attrib["name"]: _method(each) for each in element.iter("method")},
        properties={each.attrib["name"]: _property(each) for each in element.iter("property")},
        signals={each.attrib["name"]: _types(each) for each in element.iter("signal")},
        xml=_text(element),
    )


def _method(element: ET.Element) -> MethodSpec:
    return MethodSpec(_types(element, "in"), _types(element, "out"))


def _types(element: ET.Element, direction: str | None = None) -> str:
    """The types of all arguments of this direction; None for signals, which have no directions."""
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

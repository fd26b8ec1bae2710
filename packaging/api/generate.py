#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generates the Python tables of the D-Bus interfaces from their XML.

    packaging/api/generate.py

nestd/formats/api/*.xml become the modules next to them, and the interfaces that every object has
(nestd/dbus/objects/interfaces/) become nestd/dbus/objects/freedesktop.py.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from nestd.dbus.objects.interface import InterfaceSpec  # noqa: E402
from nestd.dbus.objects.introspection import parse  # noqa: E402

API = CHECKOUT / "nestd" / "formats" / "api"
STANDARD = CHECKOUT / "nestd" / "dbus" / "objects" / "interfaces"
HEAD = '''# SPDX-License-Identifier: LGPL-2.1-or-later
"""{about}. Made by packaging/api/generate.py: change the XML."""

from __future__ import annotations

'''


def modules() -> Iterator[tuple[Path, str]]:
    """The path and text of each generated module."""
    for path in sorted(API.glob("*.xml")):
        name = _snake(path.stem.rpartition(".")[2].removesuffix("1"))
        yield API / f"{name}.py", _table(path)
    yield STANDARD.parent / "freedesktop.py", _specs(sorted(STANDARD.glob("*.xml")))


def _table(path: Path) -> str:
    """One interface with the names of all arguments, for the service and clients."""
    text = path.read_text("utf-8")
    spec = parse(text)
    element = ET.fromstring(text).find("interface")
    assert element is not None
    used = ["InterfaceTable"]
    used += ["MethodTable"] if spec.methods else []
    used += ["PropertyTable"] if spec.properties else []
    lines = [f"from nestd.formats.api.table import {', '.join(used)}\n"]
    lines += ["TABLE = InterfaceTable(", f'    name="{spec.name}",']
    lines += _block("methods", [_method(each) for each in element.iter("method")])
    lines += _block("properties", [_property(name, spec) for name in spec.properties])
    lines += _block("signals", [_signal(each) for each in element.iter("signal")])
    lines += [f'    xml="""{spec.xml}""",', ")\n"]
    return HEAD.format(about=f"{spec.name} as a table") + "\n".join(lines)


def _block(field: str, entries: list[list[str]]) -> list[str]:
    if not entries:
        return [f"    {field}={{}},"]
    inner = [f"        {line}" for entry in entries for line in entry]
    return [f"    {field}={{", *inner, "    },"]


def _method(element: ET.Element) -> list[str]:
    args = list(element.iter("arg"))
    takes = [each for each in args if each.attrib.get("direction", "in") == "in"]
    gives = [each for each in args if each not in takes]
    name = element.attrib["name"]
    return [
        f'"{name}": MethodTable(',
        *_arguments("    takes=", takes),
        *_arguments("    gives=", gives),
        "),",
    ]


def _signal(element: ET.Element) -> list[str]:
    return _arguments(f'"{element.attrib["name"]}": ', list(element.iter("arg")))


def _arguments(start: str, args: list[ET.Element]) -> list[str]:
    pairs = [f'("{each.attrib["name"]}", "{each.attrib["type"]}")' for each in args]
    if len(pairs) < 2:
        return [f"{start}({''.join(pair + ',' for pair in pairs)}),"]
    indent = " " * (len(start) - len(start.lstrip()))
    return [f"{start}(", *[f"{indent}    {pair}," for pair in pairs], f"{indent}),"]


def _property(name: str, spec: InterfaceSpec) -> list[str]:
    found = spec.properties[name]
    access = "readwrite" if found.writable else "read"
    return [f'"{name}": PropertyTable("{found.signature}", "{access}", "{found.emits.value}"),']


def _specs(paths: list[Path]) -> str:
    """The interfaces of the D-Bus specification that the library exports."""
    specs = [parse(path.read_text("utf-8")) for path in paths]
    lines = ["from nestd.dbus.objects.interface import InterfaceSpec, MethodSpec\n"]
    for spec in specs:
        assert not spec.properties
        constant = _snake(spec.name.rpartition(".")[2]).upper()
        lines += [f"{constant} = InterfaceSpec(", f'    name="{spec.name}",']
        methods = [
            [f'"{name}": MethodSpec("{types.in_signature}", "{types.out_signature}"),']
            for name, types in spec.methods.items()
        ]
        lines += _block("methods", methods)
        lines += ["    properties={},"]
        lines += _block("signals", [[f'"{name}": "{it}",'] for name, it in spec.signals.items()])
        lines += [f'    xml="""{spec.xml}""",', ")\n"]
    return HEAD.format(about="The interfaces that every object has") + "\n".join(lines)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


if __name__ == "__main__":
    for place, text in modules():
        place.write_text(text, "utf-8")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interfaces as in their XML, independent of the generated tables."""

from __future__ import annotations

from pathlib import Path

import nestd
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.dbus.objects.introspection import parse

API = Path(nestd.__file__).parent / "formats" / "api"
STANDARD = Path(nestd.__file__).parent / "dbus" / "objects" / "interfaces"
FILES = {path.stem: path for folder in (API, STANDARD) for path in sorted(folder.glob("*.xml"))}


def contract(name: str) -> InterfaceSpec:
    """The interface NAME; raises KeyError if nestd has no such interface."""
    return parse(FILES[name].read_text("utf-8"))

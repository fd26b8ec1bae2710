# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's domains by process, without asking libvirt (asking would start its daemon)."""

from __future__ import annotations

import os

from nestd.formats.printable import printable
from nestd.host.files import read_regular
from nestd.host.root import Root

_STATE = "/run/libvirt/qemu"


def names_by_pid(root: Root) -> dict[int, str]:
    """The system domains' names, printable, by their QEMU's PID, from NAME.pid beside NAME.xml.

    The XML itself holds passwords (it is formatted with VIR_DOMAIN_DEF_FORMAT_SECURE): never read.
    driver.pid is the daemon's own and has no XML.
    """
    names = {}
    for path in root.at(_STATE).glob("*.pid"):
        if not path.with_suffix(".xml").exists():
            continue
        try:
            names[int(read_regular(path) or b"")] = printable(os.fsencode(path.stem))
        except (OSError, ValueError):
            continue
    return names

# SPDX-License-Identifier: LGPL-2.1-or-later
"""/sys/devices/system/cpu/vulnerabilities: the kernel's sentence on each vulnerability."""

from __future__ import annotations

import os
from collections.abc import Mapping

from nestd.formats.printable import printable
from nestd.host.files import read_regular
from nestd.host.root import Root

_DIRECTORY = "/sys/devices/system/cpu/vulnerabilities"
_BYTES = 64 << 10


def read_vulnerabilities(root: Root) -> Mapping[str, str] | None:
    """The sentences by name; None if there is no such directory."""
    try:
        names = os.listdir(root.at(_DIRECTORY))
    except OSError:
        return None
    found = {}
    for name in names:
        try:
            data = read_regular(root.at(f"{_DIRECTORY}/{name}"), _BYTES) or b""
        except OSError:
            continue
        found[name] = printable(data.strip())
    return found

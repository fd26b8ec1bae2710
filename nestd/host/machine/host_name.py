# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's name."""

from __future__ import annotations

from nestd.host.files import read_regular
from nestd.host.root import Root

_PATHS = ("/proc/sys/kernel/hostname", "/etc/hostname")


def host_name(root: Root) -> str:
    """The name, or "host" if none can be read."""
    for path in _PATHS:
        try:
            name = (read_regular(root.at(path)) or b"").split(b"\n", 1)[0].strip()
        except OSError:
            continue
        if name:
            return name.decode("utf-8", "replace")
    return "host"

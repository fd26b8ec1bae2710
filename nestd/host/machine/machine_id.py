# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine's id, which org.freedesktop.DBus.Peer.GetMachineId gives (machine-id(5))."""

from __future__ import annotations

from nestd.host.files import read_regular
from nestd.host.root import Root


def machine_id(root: Root) -> str:
    """32 hexadecimal digits, "" if the host has none."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            found = (read_regular(root.at(path)) or b"").decode("ascii").strip()
        except (OSError, ValueError):
            continue
        if found:
            return found
    return ""

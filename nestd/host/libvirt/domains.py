# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's domains by process, without contacting libvirt, which could start its daemon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nestd.formats.printable import printable
from nestd.host import fingerprint
from nestd.host.files import matching, read_regular
from nestd.host.fingerprint import Fingerprint
from nestd.host.root import Root

_STATE = "/run/libvirt/qemu"


def status_files(root: Root) -> dict[int, Path]:
    """The system domains' status files by QEMU's PID, from NAME.pid beside NAME.xml.

    driver.pid belongs to the daemon and has no XML.
    """
    files = {}
    for path in matching(root.at(_STATE), "*.pid"):
        if not os.path.exists(path.with_suffix(".xml")):
            continue
        try:
            files[int(read_regular(path) or b"")] = path.with_suffix(".xml")
        except (OSError, ValueError):
            continue
    return files


@dataclass(frozen=True)
class SystemDomains:
    """The running domains of libvirt's system daemon: status files and names, by QEMU's PID."""

    files: Mapping[int, Path]
    names: Mapping[int, str]


class DomainLook:
    """The domains of one host, listed again only if their directory has changed.

    libvirt and QEMU create, remove or replace these files by renaming, and each of these changes
    the directory's time.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._known: tuple[Fingerprint, SystemDomains] | None = None

    def __call__(self) -> SystemDomains:
        """The domains that run now."""
        now = fingerprint.settled(self._root.at(_STATE))
        if self._known is not None and self._known[0] == now:
            return self._known[1]
        files = status_files(self._root)
        found = SystemDomains(files, names_of(files))
        self._known = (now, found) if now is not None else None
        return found


def names_by_pid(root: Root) -> dict[int, str]:
    """The system domains' printable names by QEMU's PID."""
    return names_of(status_files(root))


def names_of(files: Mapping[int, Path]) -> dict[int, str]:
    """The names of the domains with these status files, by PID."""
    return {pid: printable(os.fsencode(path.stem)) for pid, path in files.items()}

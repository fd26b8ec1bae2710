# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's domains by process, without contacting libvirt, which could start its daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nestd.formats.printable import printable
from nestd.host.files import read_regular
from nestd.host.root import Root

_STATE = "/run/libvirt/qemu"
_TICK_NS = 1_000_000_000  # far longer than any file system's


def status_files(root: Root) -> dict[int, Path]:
    """The system domains' status files, by their QEMU's PID, from NAME.pid beside NAME.xml.

    driver.pid is the daemon's own and has no XML.
    """
    files = {}
    for path in root.at(_STATE).glob("*.pid"):
        if not path.with_suffix(".xml").exists():
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
    """The domains of one host, listed again once their directory has changed.

    libvirt and QEMU make and remove these files, or rename others over them, all of which changes
    the directory's time. A change in the same tick of the clock as a listing would not show: what
    was listed is known only where the directory is older than that.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._known: tuple[tuple[int, int, int], SystemDomains] | None = None

    def __call__(self) -> SystemDomains:
        """Those that run now."""
        try:
            status = os.stat(self._root.at(_STATE))
        except OSError:
            return SystemDomains({}, {})
        at = (status.st_dev, status.st_ino, status.st_mtime_ns)
        if self._known is not None and self._known[0] == at:
            return self._known[1]
        settled = time.time_ns() - status.st_mtime_ns > _TICK_NS
        files = status_files(self._root)
        found = SystemDomains(files, names_of(files))
        self._known = (at, found) if settled else None
        return found


def names_by_pid(root: Root) -> dict[int, str]:
    """The system domains' names, printable, by their QEMU's PID."""
    return names_of(status_files(root))


def names_of(files: Mapping[int, Path]) -> dict[int, str]:
    """The names of the domains that have those status files."""
    return {pid: printable(os.fsencode(path.stem)) for pid, path in files.items()}

# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's domains by process, without contacting libvirt, which could start its daemon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nestd.formats.printable import printable
from nestd.host.files import matching, read_regular
from nestd.host.root import Root

_STATE = "/run/libvirt/qemu"


def status_files(root: Root) -> dict[int, Path]:
    """The system domains' status files, by their QEMU's PID, from NAME.pid beside NAME.xml.

    driver.pid is the daemon's own and has no XML.
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


def names_by_pid(root: Root) -> dict[int, str]:
    """The system domains' names, printable, by their QEMU's PID."""
    return names_of(status_files(root))


def names_of(files: Mapping[int, Path]) -> dict[int, str]:
    """The names of the domains that have those status files."""
    return {pid: printable(os.fsencode(path.stem)) for pid, path in files.items()}

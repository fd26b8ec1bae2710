# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tells from stat(2) alone whether a file may have changed since it was read."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

TICK_SECONDS = 0.1
"""The resolution of time stamps (the kernel's timer tick, 10 ms at most), with a margin."""


class Fingerprint(NamedTuple):
    """Changes if the file is written or replaced, or if its owner or mode changes.

    Two changes within one timer tick can have the same fingerprint: see is_settled().
    """

    device: int
    inode: int
    size: int  # bytes
    modified: int  # ns since the epoch
    changed: int  # ns since the epoch

    def is_settled(self, at: float) -> bool:
        """Whether any change after AT (seconds since the epoch) will alter the fingerprint."""
        return at - self.changed / 1e9 >= TICK_SECONDS


def of(status: os.stat_result) -> Fingerprint:
    """The fingerprint of a file with this STATUS."""
    times = status.st_mtime_ns, status.st_ctime_ns
    return Fingerprint(status.st_dev, status.st_ino, status.st_size, *times)


def settled(path: Path) -> Fingerprint | None:
    """The fingerprint of the file at PATH (links followed); None if missing or not settled."""
    try:
        found = of(os.stat(path))
    except OSError:
        return None
    return found if found.is_settled(time.time()) else None

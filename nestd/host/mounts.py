# SPDX-License-Identifier: LGPL-2.1-or-later
"""This process's mounts: whether they have changed, and the file system type at a path."""

from __future__ import annotations

import os
import select

_TABLE = "/proc/self/mountinfo"


class MountWatch:
    """Detects new and removed mounts, which inotify does not (proc_pid_mountinfo(5), poll(2)).

    Raises OSError if there is no /proc.
    """

    def __init__(self) -> None:
        self._fd = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._fd)

    def has_changed(self) -> bool:
        """Whether a mount was added or removed since the last call."""
        return bool(self._poll.poll(0))


def file_systems() -> dict[str, str]:
    """The file system type at each mount point, the topmost if several are mounted there."""
    found = {}
    with open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            mount, _, source = line.partition(" - ")
            found[_unescaped(mount.split(" ")[4])] = source.split(" ")[0]
    return found


def type_at(place: str, found: dict[str, str]) -> str:
    """The type at PLACE, a path without links; "" if unknown. FOUND is from file_systems()."""
    while place not in found and place != "/":
        place = os.path.dirname(place)
    return found.get(place, "")


def _unescaped(path: str) -> str:
    for escape, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(escape, char)
    return path

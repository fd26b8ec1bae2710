# SPDX-License-Identifier: LGPL-2.1-or-later
"""This process's mounts: whether they have changed, and what kind of file system a place is on."""

from __future__ import annotations

import os
import select

_TABLE = "/proc/self/mountinfo"


class MountWatch:
    """Tells of mounts that came or went, which inotify does not (proc_pid_mountinfo(5), poll(2)).

    Raises OSError where there is no /proc.
    """

    def __init__(self) -> None:
        self._fd = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)

    def close(self) -> None:
        """Watch no more."""
        os.close(self._fd)

    def has_changed(self) -> bool:
        """Whether a mount came or went since this was asked last."""
        return bool(self._poll.poll(0))


def file_systems() -> dict[str, str]:
    """The type of the file system at each mount point, the uppermost where there are several."""
    found = {}
    with open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            mount, _, source = line.partition(" - ")
            found[_unescaped(mount.split(" ")[4])] = source.split(" ")[0]
    return found


def type_at(place: str, found: dict[str, str]) -> str:
    """Of what file_systems() FOUND, the type at PLACE, a path without links; "" for unknown."""
    while place not in found and place != "/":
        place = os.path.dirname(place)
    return found.get(place, "")


def _unescaped(path: str) -> str:
    for escape, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(escape, char)
    return path

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What this host hides from ordinary users: files by mode, processes by /proc's hidepid."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from nestd.host.root import Root

# The host's own /proc; and ours, unless the service manager gives us a different one (ProtectProc=
# in the unit).
_MOUNTS = "/proc/1/mounts"
_OUR_MOUNTS = "/proc/mounts"
_STARTED_BY_SYSTEMD = "INVOCATION_ID"
_SHOWS_ALL = ("0", "off")


def may_read(root: Root, path: str) -> bool:
    """Whether every user may read the file PATH, or see that it does not exist."""
    try:
        place = root.follow(path)
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        return may_reach(root, path)
    except OSError:
        return False
    return bool(mode & stat.S_IROTH) and may_reach(root, path)


def may_reach(root: Root, path: str) -> bool:
    """Whether every user may see whether the file PATH exists."""
    try:
        places = {parent for place in root.trail(path) for parent in _parents(root, place)}
        return all(_may_enter(place) for place in places)
    except OSError:
        return False


def _parents(root: Root, place: Path) -> Iterator[Path]:
    """The directories above PLACE, up to but not including the root."""
    for parent in place.parents:
        if parent == root.path or root.path not in parent.parents:
            return
        yield parent


def _may_enter(directory: Path) -> bool:
    try:
        mode = os.stat(directory).st_mode
    except FileNotFoundError:
        return True  # nothing in it exists
    return not stat.S_ISDIR(mode) or bool(mode & stat.S_IXOTH)


def hides_processes(root: Root) -> bool:
    """Whether users see only their own processes: /proc is mounted with hidepid (proc(5))."""
    places = [_MOUNTS] if _STARTED_BY_SYSTEMD in os.environ else [_MOUNTS, _OUR_MOUNTS]
    return any(_hides(root.at(place)) for place in places)


def owner(root: Root, pid: int) -> int | None:
    """The user id that owns the process PID; None if it is gone."""
    try:
        return os.stat(root.at(f"/proc/{pid}")).st_uid
    except OSError:
        return None


def _hides(mounts: Path) -> bool:
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return False  # another machine's files, or not readable: the other file decides
    options = b""
    for line in lines:  # a later mount hides an earlier one
        words = line.split(b" ")
        if words[1:3] == [b"/proc", b"proc"] and len(words) > 3:
            options = words[3]
    for option in options.decode("ascii", "replace").split(","):
        name, _, value = option.partition("=")
        if name == "hidepid":
            return value not in _SHOWS_ALL
    return False

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The process of a virtual machine: its command line and start time."""

from __future__ import annotations

import os
from pathlib import Path

from nestd.host.root import Root

_READ_BYTES = 1 << 20  # of a command line: a process can make it arbitrarily long
_TICKS = os.sysconf("SC_CLK_TCK")
_STARTTIME = 22 - 3  # field of /proc/PID/stat, counted from the third, state (proc(5))

Identity = tuple[int, int]
"""Distinguishes a process from a later one with the same PID."""


def boot_time(root: Root) -> int:
    """The boot time in seconds since the epoch; 0 if /proc/stat does not have it."""
    for line in _read(str(root.at("/proc/stat"))).splitlines():
        if line.startswith(b"btime "):
            return int(line.split()[1])
    return 0


def identify(path: Path, boot: int) -> tuple[Identity, float | None]:
    """The identity of the process below PATH, and its start in seconds since the epoch.

    The start is None if unknown. BOOT is boot_time(). If /proc/PID/stat or the boot time is
    missing, as on a simulated host, the time of the process's directory is used.
    """
    text = _read(f"{path}/stat").rpartition(b")")[2].split()
    if boot and len(text) > _STARTTIME and text[_STARTTIME].isdigit():
        ticks = int(text[_STARTTIME])
        return (int(path.name), ticks), boot + ticks / _TICKS
    try:
        status = os.stat(path)
    except OSError:
        return (int(path.name), -1), None
    return (status.st_ino, status.st_mtime_ns), status.st_mtime


def arguments(path: Path) -> tuple[str, ...] | None:
    """The command line, None if it cannot be read (or is empty: the process has ended)."""
    data = _read(f"{path}/cmdline")
    if not data:
        return None
    words = data.rstrip(b"\0").split(b"\0")
    return tuple(word.decode("utf-8", "surrogateescape") for word in words)


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        parts = []
        size = 0
        while size < _READ_BYTES and (part := os.read(fd, _READ_BYTES)):
            parts.append(part)
            size += len(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)

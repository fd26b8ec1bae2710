# SPDX-License-Identifier: LGPL-2.1-or-later
"""Directories whose entries change, told through inotify(7) on the event loop.

Own code over libc: no inotify library that works with asyncio is packaged in Debian 12 and RHEL 9,
and watchdog holds events back for half a second in threads of its own.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Callable

# <sys/inotify.h>
_IN_MODIFY, _IN_ATTRIB, _IN_CLOSE_WRITE, _IN_MOVED = 0x2, 0x4, 0x8, 0xC0
_IN_CREATE, _IN_DELETE, _IN_DELETE_SELF, _IN_MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_IN_ONLYDIR, _IN_MASK_ADD = 0x01000000, 0x20000000
_ENTRIES = _IN_MODIFY | _IN_ATTRIB | _IN_CLOSE_WRITE | _IN_MOVED | _IN_CREATE | _IN_DELETE
_ITSELF = _IN_DELETE_SELF | _IN_MOVE_SELF
_EVENT = struct.Struct("iIII")  # wd, mask, cookie, length of the name that follows
_READ_BYTES = 65536
_libc = ctypes.CDLL(None, use_errno=True)


class DirectoryWatch:
    """Calls CALLBACK once for each burst of changes in DIRECTORIES.

    A directory that is missing is awaited in its nearest existing parent. The callback gets no
    details: it is to read again.
    """

    def __init__(self, directories: Iterable[Path], callback: Callable[[], None]) -> None:
        self._directories = tuple(directories)
        self._callback = callback
        self._watched: set[int] = set()  # descriptors of watched directories
        self._awaited: dict[int, set[bytes]] = {}  # of parents, with the entries that matter there
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "inotify_init1")
        self.is_complete = True  # else changes happen that are not told
        self._watch_all()
        asyncio.get_running_loop().add_reader(self._fd, self._ready)

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _watch_all(self) -> None:
        for directory in self._directories:
            descriptor = self._add(directory, _ENTRIES | _ITSELF)
            if descriptor >= 0:
                self._watched.add(descriptor)
                continue
            for child, parent in zip((directory, *directory.parents), directory.parents):
                descriptor = self._add(parent, _IN_CREATE | _IN_MOVED | _ITSELF)
                if descriptor >= 0:
                    self._awaited.setdefault(descriptor, set()).add(os.fsencode(child.name))
                    break

    def _add(self, directory: Path, mask: int) -> int:
        flags = mask | _IN_ONLYDIR | _IN_MASK_ADD
        descriptor = int(_libc.inotify_add_watch(self._fd, os.fsencode(directory), flags))
        if descriptor < 0 and ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR):
            self.is_complete = False  # ENOSPC: the user's watches are used up
        return descriptor

    def _ready(self) -> None:
        matters = False
        while True:
            try:
                data = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                break
            matters = any(self._matters(*event) for event in _events(data)) or matters
        if matters:
            self._watch_all()
            self._callback()

    def _matters(self, descriptor: int, mask: int, name: bytes) -> bool:
        if descriptor in self._watched or not name:  # no name: the directory itself, or overflow
            return True
        return name in self._awaited.get(descriptor, ())


def _events(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset < len(data):
        descriptor, mask, _cookie, length = _EVENT.unpack_from(data, offset)
        offset += _EVENT.size
        yield descriptor, mask, data[offset : offset + length].rstrip(b"\0")
        offset += length

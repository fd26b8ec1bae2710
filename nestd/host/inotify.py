# SPDX-License-Identifier: LGPL-2.1-or-later
"""Watches directories with inotify(7) on the event loop.

This calls libc directly: no inotify library for asyncio is packaged in both Debian 12 and RHEL 9,
and watchdog uses its own threads, which delay events by half a second.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import select
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Callable

# <sys/inotify.h>
_IN_MODIFY, _IN_ATTRIB, _IN_CLOSE_WRITE, _IN_MOVED = 0x2, 0x4, 0x8, 0xC0
_IN_CREATE, _IN_DELETE, _IN_DELETE_SELF, _IN_MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_IN_ONLYDIR, _IN_MASK_ADD = 0x01000000, 0x20000000
_ENTRIES = _IN_MODIFY | _IN_ATTRIB | _IN_CLOSE_WRITE | _IN_MOVED | _IN_CREATE | _IN_DELETE
_COMES_OR_GOES = _IN_CREATE | _IN_MOVED | _IN_DELETE | _IN_ATTRIB
_ITSELF = _IN_DELETE_SELF | _IN_MOVE_SELF
_EVENT = struct.Struct("iIII")  # wd, mask, cookie, length of the name that follows
_OVERFLOW = -1  # the watch descriptor of an overflow event
_READ_BYTES = 65536
_libc = ctypes.CDLL(None, use_errno=True)


class DirectoryWatch:
    """Calls CALLBACK once for each burst of changes in DIRECTORIES.

    For a missing directory the nearest existing parent is watched. The callback gets no details
    and must read everything again.
    """

    def __init__(self, directories: Iterable[Path], callback: Callable[[], None]) -> None:
        self._callback = callback
        self._watched: set[int] = set()  # watch descriptors of directories
        self._named: dict[int, set[bytes]] = {}  # of other directories, with the relevant entries
        self.is_complete = True  # False if the kernel's limit kept something unwatched
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "inotify_init1")
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self.watch(directories)
        asyncio.get_running_loop().add_reader(self._fd, self._ready)

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    @property
    def is_quiet(self) -> bool:
        """Whether no event is pending, so that nothing has changed since the last one was read."""
        return not self._poll.poll(0)

    def watch(self, directories: Iterable[Path], entries: Iterable[Path] = ()) -> None:
        """Watch DIRECTORIES from now on, and only ENTRIES in the directories that hold them."""
        self._directories, self._entries = tuple(directories), tuple(entries)
        self._watch_all()

    def _watch_all(self) -> None:
        before = {*self._watched, *self._named}
        self.is_complete = True
        self._watched, self._named = set(), {}
        for directory in self._directories:
            descriptor = self._add(directory, _ENTRIES | _ITSELF)
            if descriptor >= 0:
                self._watched.add(descriptor)
                continue
            for child in (directory, *directory.parents):
                if self._add_named(child, _COMES_OR_GOES):
                    break
        for entry in self._entries:
            # A directory on the path, or a link: only changes of its name matter.
            is_file = os.path.isfile(entry) and not os.path.islink(entry)
            self._add_named(entry, _ENTRIES if is_file else _COMES_OR_GOES)
        for descriptor in before.difference(self._watched, self._named):
            _libc.inotify_rm_watch(self._fd, descriptor)

    def _add_named(self, entry: Path, mask: int) -> bool:
        """Watch one entry of a directory; False if the directory does not exist."""
        descriptor = self._add(entry.parent, mask | _ITSELF)
        if descriptor >= 0:
            self._named.setdefault(descriptor, set()).add(os.fsencode(entry.name))
        return descriptor >= 0

    def _add(self, directory: Path, mask: int) -> int:
        flags = mask | _IN_ONLYDIR | _IN_MASK_ADD
        found = int(_libc.inotify_add_watch(self._fd, os.fsencode(directory), flags))
        if found < 0 and ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR):
            self.is_complete = False
        return found

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
        if descriptor in self._watched or descriptor == _OVERFLOW:
            return True
        names = self._named.get(descriptor)  # None: no longer watched
        return names is not None and (name in names or not name)  # no name: the directory itself


def _events(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset < len(data):
        descriptor, mask, _cookie, length = _EVENT.unpack_from(data, offset)
        offset += _EVENT.size
        yield descriptor, mask, data[offset : offset + length].rstrip(b"\0")
        offset += length

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds files to collect, and opens them without following links.

Only regular files directly in the directories count. Links in them are not followed, since they may
lead anywhere; FIFOs and devices are not opened, since even opening can block or do harm.
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from nestd.host.root import Root

MOST_FILES = 4096  # over all directories, the newest ones


@dataclass(frozen=True)
class Place:
    """A directory, the names to look for in it, and the archive's folder for them.

    The directory itself may be a link, for example to another disk, unless follow is False.
    """

    directory: str
    patterns: tuple[str, ...]
    folder: str
    follow: bool = True


@dataclass(frozen=True)
class FoundFile:
    """A regular file; size in bytes, modified in nanoseconds since 1970."""

    place: Place
    name: str
    size: int
    modified: int

    @property
    def path(self) -> str:
        """The file's path as seen from inside the root."""
        return f"{self.place.directory}/{self.name}"


@dataclass(frozen=True)
class LeftOut:
    """Something that is not collected, and the reason in words."""

    path: str
    why: str


def find(root: Root, places: Sequence[Place]) -> tuple[tuple[FoundFile, ...], tuple[LeftOut, ...]]:
    """The files in PLACES, newest first, and those left out. Blocks; never raises OSError.

    A missing directory has no files.
    """
    left_out: list[LeftOut] = []
    seen: set[tuple[int, int]] = set()  # directories seen: /lib is often a link to /usr/lib

    def files() -> Iterator[FoundFile]:
        for place in places:
            yield from _in(root, place, seen, left_out)

    newest = heapq.nlargest(MOST_FILES + 1, files(), key=lambda file: (file.modified, file.path))
    if len(newest) > MOST_FILES:
        del newest[MOST_FILES:]
        left_out.append(LeftOut("older files", f"more than {MOST_FILES} files"))
    return tuple(newest), tuple(left_out)


def open_found(root: Root, file: FoundFile) -> int:
    """Open FILE; returns the descriptor. Raises OSError, also if it is no longer a regular file."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    directory = _open_directory(root, file.place)
    try:
        if not stat.S_ISREG(os.stat(file.name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise OSError(errno.EINVAL, "is no longer a regular file")
        descriptor = os.open(file.name, flags, dir_fd=directory)
    finally:
        os.close(directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no longer a regular file")
    return descriptor


def _in(
    root: Root, place: Place, seen: set[tuple[int, int]], left_out: list[LeftOut]
) -> Iterator[FoundFile]:
    try:
        directory = _open_directory(root, place)
    except FileNotFoundError:
        return
    except OSError as error:
        left_out.append(LeftOut(place.directory, f"cannot be read: {error.strerror}"))
        return
    try:
        status = os.fstat(directory)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(directory) as entries:
            for entry in entries:
                if any(fnmatchcase(entry.name, pattern) for pattern in place.patterns):
                    found = _look(place, entry)
                    if isinstance(found, FoundFile):
                        yield found
                    elif len(left_out) < MOST_FILES:
                        left_out.append(found)
    except OSError as error:
        left_out.append(LeftOut(place.directory, f"cannot be read: {error.strerror}"))
    finally:
        os.close(directory)


def _look(place: Place, entry: os.DirEntry[str]) -> FoundFile | LeftOut:
    path = f"{place.directory}/{entry.name}"
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return LeftOut(path, f"cannot be read: {error.strerror}")
    if stat.S_ISLNK(status.st_mode):
        return LeftOut(path, "is a link")
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(path, "is not a regular file")
    return FoundFile(place, entry.name, status.st_size, status.st_mtime_ns)


def _open_directory(root: Root, place: Place) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    return os.open(root.at(place.directory), flags if place.follow else flags | os.O_NOFOLLOW)

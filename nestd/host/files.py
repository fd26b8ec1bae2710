# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads regular files without hanging and without following links out of a root."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from nestd.host.root import Root

_AT_ONCE = 4096  # bytes
DEFAULT_LIMIT = 16 << 20  # bytes; a larger configuration file is a mistake


def read_regular(path: str | Path, limit: int = DEFAULT_LIMIT) -> bytes | None:
    """Read a regular file; None if PATH does not exist.

    Raises OSError: EFBIG beyond LIMIT bytes, and the errors of open_regular() and read(2).
    """
    fd = _open_regular(path)
    if fd is None:
        return None
    try:
        data = os.read(fd, min(limit, _AT_ONCE) + 1)  # usually the whole file
        while len(data) <= limit and (more := os.read(fd, limit + 1 - len(data))):
            data += more
    finally:
        os.close(fd)
    if len(data) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def open_regular(path: Path) -> BinaryIO | None:
    """Open a regular file for reading; None if PATH does not exist.

    Never blocks: a FIFO is refused. Raises OSError: EISDIR for a directory, EINVAL for other
    special files, ELOOP or ENOLINK for a dangling link, and the errors of open(2).
    """
    fd = _open_regular(path)
    return None if fd is None else os.fdopen(fd, "rb")


def _open_regular(path: str | Path) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        if os.path.islink(path):
            raise OSError(errno.ENOLINK, "is a link that leads nowhere", str(path)) from None
        return None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "is not a regular file", str(path))


def read_below(root: Root, absolute: str, limit: int = DEFAULT_LIMIT) -> bytes | None:
    """read_regular() for the path ABSOLUTE, with links resolved inside ROOT."""
    data = read_regular(root.follow(absolute), limit)
    if data is None:
        directory, name = os.path.split(absolute)
        if (root.follow(directory) / name).is_symlink():
            raise OSError(errno.ENOLINK, "is a link that leads nowhere", absolute)
    return data


def matching(directory: Path, pattern: str) -> list[Path]:
    """The matches of glob() for PATTERN; none if a directory on the way cannot be read."""
    try:
        return list(directory.glob(pattern))
    except OSError:
        return []


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

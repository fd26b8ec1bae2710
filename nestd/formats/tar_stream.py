# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes a .tar.gz as a stream: each call returns the next bytes.

All members belong to root and only root can read them, so that an archive reveals no more than
names, times and contents. The same contents give the same bytes.
"""

from __future__ import annotations

import re
import tarfile
import zlib

_GZIP = 31  # zlib's code for the largest window and a gzip header, which has no time in it
_MODE = 0o600
_STRANGE = re.compile(r"[^A-Za-z0-9 ._+@=,-]")
_LONGEST_NAME = 200


class TarStream:
    """One archive. After each member(), exactly SIZE bytes must be passed to data()."""

    def __init__(self, directory: str) -> None:
        self._directory = safe_name(directory)
        self._compressor = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._names: set[str] = set()
        self._padding = 0

    def name(self, *parts: str) -> str:
        """A unique, harmless member name below the archive's directory."""
        path = "/".join((self._directory, *map(safe_name, parts)))
        name, number = path, 1
        while name in self._names:
            number += 1
            name = f"{path}~{number}"
        self._names.add(name)
        return name

    def member(self, name: str, size: int, modified: int) -> bytes:
        """Begin a file of SIZE bytes; MODIFIED are seconds since 1970."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, max(0, modified), _MODE
        info.uname = info.gname = "root"
        header = self._pad() + info.tobuf(tarfile.PAX_FORMAT)
        self._padding = -size % tarfile.BLOCKSIZE
        return self._compressor.compress(header)

    def data(self, data: bytes) -> bytes:
        """The next bytes of the file."""
        return self._compressor.compress(data)

    def end(self) -> bytes:
        """The end of the archive."""
        last = self._pad() + bytes(2 * tarfile.BLOCKSIZE)
        return self._compressor.compress(last) + self._compressor.flush()

    def _pad(self) -> bytes:
        padding, self._padding = self._padding, 0
        return bytes(padding)


def safe_name(name: str) -> str:
    """NAME as a path component without special meaning for programs and terminals."""
    safe = _STRANGE.sub("_", name)[:_LONGEST_NAME].lstrip("-") or "_"
    return "_" if safe in (".", "..") else safe

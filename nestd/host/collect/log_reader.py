# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads a log as of the time it was opened: repeatably, in blocks, up to a limit.

Data appended later is ignored. Compressed logs are unpacked so that secrets in them can be found.
"""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Iterator
from typing import IO, Protocol

BLOCK = 64 << 10
LEAD = 64 << 10
"""Bytes read before the kept part, to tell whether it begins inside a multi-line secret."""
_LONGEST_LINE = 1 << 20  # how far to search for the beginning of a line
_XZ_MEMORY = 16 << 20  # bytes; xz(1)'s own default needs 9 MiB to unpack


class LogReader(Protocol):
    """A log; cut says which part of it is not read, "" for none."""

    cut: str

    def lead(self) -> Iterator[bytes]:
        """The bytes right before the kept part."""

    def blocks(self) -> Iterator[bytes]:
        """The kept part. Raises OSError."""


def reader(descriptor: int, name: str, limit: int) -> LogReader:
    """The reader for a file called NAME that keeps at most LIMIT bytes."""
    if name.endswith((".gz", ".xz")):
        return _Packed(descriptor, name[-2:], limit)
    return _Plain(descriptor, limit)


class _Plain:
    """The last LIMIT bytes, starting at the beginning of a line."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._end = os.fstat(descriptor).st_size
        self._start = 0
        self.cut = ""
        if self._end > limit:
            self._start = self._line_start(self._end - limit)
            self.cut = f"the first {self._start} bytes"

    def lead(self) -> Iterator[bytes]:
        return self._range(max(0, self._start - LEAD), self._start)

    def blocks(self) -> Iterator[bytes]:
        return self._range(self._start, self._end)

    def _range(self, position: int, end: int) -> Iterator[bytes]:
        while position < end:
            block = os.pread(self._descriptor, min(BLOCK, end - position), position)
            if not block:
                return
            position += len(block)
            yield block

    def _line_start(self, position: int) -> int:
        """The first line start at or after POSITION; the end of the file if none is near."""
        before = max(0, position - 1)
        for block in self._range(before, min(self._end, position + _LONGEST_LINE)):
            found = block.find(b"\n")
            if found >= 0:
                return before + found + 1
            before += len(block)
        return self._end


class _Packed:
    """The first LIMIT bytes of a compressed log, unpacked."""

    def __init__(self, descriptor: int, kind: str, limit: int) -> None:
        self._descriptor = descriptor
        self._kind = kind
        self._limit = limit
        self.cut = ""

    def lead(self) -> Iterator[bytes]:
        return iter(())

    def blocks(self) -> Iterator[bytes]:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        left = self._limit
        try:
            for block in self._unpacked():
                yield block[:left]
                left -= len(block)
                if left < 0:
                    self.cut = f"what follows the first {self._limit} bytes"
                    return
        except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error):
            self.cut = "what follows a damaged place"

    def _unpacked(self) -> Iterator[bytes]:
        with open(self._descriptor, "rb", closefd=False) as packed:
            if self._kind == "xz":
                yield from _unpack_xz(packed)
                return
            with gzip.GzipFile(fileobj=packed) as file:
                while block := file.read(BLOCK):
                    yield block


def _unpack_xz(file: IO[bytes]) -> Iterator[bytes]:
    decompressor = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    while not decompressor.eof:
        packed = file.read(BLOCK) if decompressor.needs_input else b""
        if not packed and decompressor.needs_input:
            raise EOFError
        yield decompressor.decompress(packed, BLOCK)

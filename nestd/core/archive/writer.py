# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts redacted files into an archive and describes them in its index.

Runs in a worker thread: reads files and writes to a client. Memory does not grow with the files.
A member's size precedes its content, and the size of a redacted log is known only after reading
it, so each log is read twice and none is kept in memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import IO

from nestd.core.archive.index import Entry, Index
from nestd.formats.redaction.redact import Redactor
from nestd.formats.tar_stream import TarStream
from nestd.host.collect.log_files import FoundFile, open_found
from nestd.host.collect.log_reader import LogReader, reader
from nestd.host.collect.timed_pipe import TimedPipe
from nestd.host.root import Root


class ArchiveWriter:
    """One archive on its way into a pipe."""

    def __init__(self, root: Root, pipe: TimedPipe, directory: str, max_bytes: int) -> None:
        self._root = root
        self._pipe = pipe
        self._stream = TarStream(directory)
        self.index = Index(int(time.time()), max_bytes)

    def text(self, folder: str, name: str, source: str, data: bytes) -> None:
        """Add a file that nestd generated."""
        redactor = Redactor()
        redacted = redactor.feed(data) + redactor.finish()
        member = self._stream.name(*folder.split("/"), name)
        now = self.index.created
        self.index.entries.append(
            Entry(member, source, len(redacted), now, _cut(redactor, ""), redactor.counts)
        )
        self._begin(member, len(redacted), now)
        self._put(redacted)

    def file(self, file: FoundFile, limit: int) -> int:
        """Add at most LIMIT bytes of a file of the host; the number of bytes used."""
        try:
            descriptor = open_found(self._root, file)
        except OSError as error:
            self.leave_out(file.path, f"cannot be read: {error.strerror}")
            return 0
        with os.fdopen(descriptor, "rb") as opened:
            log = reader(opened.fileno(), file.name, limit)
            name = file.name[:-3] if file.name.endswith((".gz", ".xz")) else file.name
            source, modified = printable(file.path), file.modified // 10**9
            return self._log(file.place.folder, name, source, modified, log)

    def output(self, folder: str, name: str, source: str, spooled: IO[bytes], missing: str) -> None:
        """Add the output of a program."""
        log = reader(spooled.fileno(), name, os.fstat(spooled.fileno()).st_size)
        log.cut = missing
        self._log(folder, name, source, self.index.created, log)

    def leave_out(self, path: str, why: str) -> None:
        """Note a file or directory that is missing or left out."""
        self.index.leave_out(printable(path), why)

    def end(self) -> None:
        """Write the index and the end of the archive."""
        data = self.index.document()
        self._begin(self._stream.name("INDEX.json"), len(data), self.index.created)
        self._put(data)
        self._pipe.write(self._stream.end())

    def _log(self, folder: str, name: str, source: str, modified: int, log: LogReader) -> int:
        redactor = Redactor()
        try:
            size = sum(len(block) for block in self._redacted(log, redactor))
        except OSError as error:
            self.index.leave_out(source, f"cannot be read: {error.strerror}")
            return 0
        member = self._stream.name(*folder.split("/"), name)
        self._begin(member, size, modified)
        changed = self._put_again(log, size)
        cut = _cut(redactor, log.cut)
        if changed:
            cut += ("what changed while it was being read",)
        self.index.entries.append(Entry(member, source, size, modified, cut, redactor.counts))
        return size

    def _put_again(self, log: LogReader, size: int) -> bool:
        """Write exactly SIZE bytes; whether the file has a different size by now."""
        left = size
        try:
            for block in self._redacted(log, Redactor()):
                self._put(block[:left])
                left -= len(block)
                if left < 0:
                    return True
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
        changed = left > 0
        while left > 0:
            self._put(b"\n" * min(left, 1 << 16))
            left -= 1 << 16
        return changed

    def _redacted(self, log: LogReader, redactor: Redactor) -> Iterator[bytes]:
        for block in log.lead():
            redactor.feed(block)
        redactor.forget_counts()
        for block in log.blocks():
            self._pipe.check()
            yield redactor.feed(block)
        yield redactor.finish()

    def _begin(self, member: str, size: int, modified: int) -> None:
        self._pipe.write(self._stream.member(member, size, modified))

    def _put(self, data: bytes) -> None:
        packed = self._stream.data(data)
        if packed:
            self._pipe.write(packed)


def printable(path: str) -> str:
    """PATH as text, with any bytes that are not UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _cut(redactor: Redactor, cut: str) -> tuple[str, ...]:
    long_lines = redactor.cut_bytes
    lines = (f"{long_lines} bytes at the ends of lines that are too long",) if long_lines else ()
    return ((cut,) if cut else ()) + lines

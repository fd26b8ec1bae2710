# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts files into an archive, without their secrets, and notes in its index what it did.

Runs in a worker thread: reads files and writes to a client. Memory does not grow with the files.
A member's size goes before its content, and how long a log is without its secrets is known only
after it was read: so each log is read twice, and nothing of it is kept.
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
from nestd.host.collect.patient_pipe import PatientPipe
from nestd.host.root import Root


class ArchiveWriter:
    """One archive on its way into a pipe."""

    def __init__(self, root: Root, pipe: PatientPipe, directory: str, max_bytes: int) -> None:
        self._root = root
        self._pipe = pipe
        self._stream = TarStream(directory)
        self.index = Index(int(time.time()), max_bytes)

    def text(self, folder: str, name: str, source: str, data: bytes) -> None:
        """A file of nestd's making."""
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
        """A file of the host, at most LIMIT bytes of it; how many bytes it took."""
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
        """What a program has printed."""
        log = reader(spooled.fileno(), name, os.fstat(spooled.fileno()).st_size)
        log.cut = missing
        self._log(folder, name, source, self.index.created, log)

    def leave_out(self, path: str, why: str) -> None:
        """A file or directory that is not there, or not taken."""
        self.index.leave_out(printable(path), why)

    def end(self) -> None:
        """The index, and the archive's end."""
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
            cut += ("what was changed while it was read",)
        self.index.entries.append(Entry(member, source, size, modified, cut, redactor.counts))
        return size

    def _put_again(self, log: LogReader, size: int) -> bool:
        """Write SIZE bytes, whatever the file has become; whether it gave less or more."""
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
    """PATH as text, whatever bytes it has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _cut(redactor: Redactor, cut: str) -> tuple[str, ...]:
    long_lines = redactor.cut_bytes
    lines = (f"{long_lines} bytes at the ends of lines that are too long",) if long_lines else ()
    return ((cut,) if cut else ()) + lines

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The record of a change of a daemon and its file, written before the first step.

It tells the next nestd how far a killed one came, so that it can undo the first half if the second
is missing. A failed undo is also retried from it. The record is removed once the undo is verified.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nestd.core.errors import NestdError, system_reason
from nestd.core.logs.settings.runtime import Running, Runtime
from nestd.host.editing import replacement as editing
from nestd.host.editing.replacement import Replacement
from nestd.host.files import read_regular
from nestd.host.libvirt.daemons import DaemonProcess
from nestd.host.state.undo_records import UndoRecords

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Record:
    """What to undo; pid 0: the daemon was not touched, target "": no file was touched."""

    pid: int = 0
    start: int = 0
    filters: str = ""
    outputs: str = ""
    target: str = ""
    old: str | None = None  # base64 of the file's previous bytes; None: no file
    digest: str = ""  # of the file's new bytes
    undo: bool = False  # the change failed: undo the file's half as well

    def is_of(self, process: DaemonProcess | None) -> bool:
        """Whether the record is about PROCESS."""
        return process is not None and (self.pid, self.start) == (process.pid, process.start)


class Pending:
    """The record of the change in progress of the daemon NAME."""

    def __init__(self, name: str, records: UndoRecords, runtime: Runtime) -> None:
        self._name = name
        self._record = f"{name}.change"
        self._records = records
        self._runtime = runtime
        self._noted = _Record()

    async def begin(
        self,
        process: DaemonProcess | None,
        before: Running | None,
        replacement: Replacement | None,
    ) -> None:
        """Record the settings of PROCESS if it will be touched, and the file. Raises OSError."""
        noted = _Record()
        if process is not None and before is not None:
            noted = _Record(process.pid, process.start, before.filters, before.outputs)
        if replacement is not None:
            old = replacement.expected
            noted = replace(
                noted,
                target=str(replacement.target),
                old=None if old is None else base64.b64encode(old).decode("ascii"),
                digest=_digest(replacement.data),
            )
        self._noted = noted
        await self._write(noted)

    async def keep_for_undo(self) -> None:
        """Keep the record of a change that could not be undone: the next nestd tries again."""
        try:
            await self._write(replace(self._noted, undo=True))
        except OSError as error:
            log.error("What is to be undone of %s is not on record: %s", self._name, error)

    def end(self) -> None:
        """Remove the record: the change is complete or undone."""
        self._records.remove(self._record)

    async def recover(self, process: DaemonProcess | None) -> None:
        """Undo a half-done change; PROCESS is the daemon's present process."""
        data = self._records.read(self._record)
        if data is None:
            return
        try:
            record = _Record(**json.loads(data))
            old = None if record.old is None else base64.b64decode(record.old)
            if not isinstance(record.target, str):
                raise ValueError("its file is no path")
        except (ValueError, TypeError) as error:
            log.warning("The record of a change of %s cannot be read: %s", self._name, error)
            self.end()
            return
        try:
            written = await asyncio.to_thread(_has_new, record)
            if record.undo and written:
                await asyncio.to_thread(_put_back, Path(record.target), old)
                written = False
            if record.is_of(process) and not written:
                await self._runtime.restore(Running(record.filters, record.outputs))
                text = "%s has the log settings again that it had before an interrupted change"
                log.info(text, self._name)
        except (NestdError, OSError) as error:
            reason = system_reason(error) if isinstance(error, OSError) else str(error)
            log.error("A change of %s is still incomplete: %s", self._name, reason)
            return
        self.end()

    async def _write(self, record: _Record) -> None:
        data = json.dumps(asdict(record)).encode()
        await asyncio.to_thread(self._records.write, self._record, data)


def _has_new(record: _Record) -> bool:
    """Whether the file contains the change's new bytes. Raises OSError."""
    if not record.target:
        return False
    try:
        return _digest(read_regular(Path(record.target)) or b"") == record.digest
    except FileNotFoundError:
        return False


def _put_back(target: Path, old: bytes | None) -> None:
    """Restore OLD in the file. Raises OSError."""
    if old is None:
        target.unlink(missing_ok=True)
    else:
        editing.replace(target, old, read_regular(target))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A change of a running daemon and its file, noted down before the first step.

So the next nestd can tell what one that was killed in between had done, and undo the first half
where the second is missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable

from nestd.core.errors import ConfigUnparsable, NestdError
from nestd.core.logs.runtime import Running, Runtime
from nestd.host.editing.replacement import Replacement
from nestd.host.libvirt.daemons import DaemonProcess
from nestd.host.state.debug_records import LogRecords

log = logging.getLogger(__name__)


class Pending:
    """The one change of the daemon NAME that is being made."""

    def __init__(self, name: str, records: LogRecords, runtime: Runtime) -> None:
        self._name = name
        self._record = f"{name}.change"
        self._records = records
        self._runtime = runtime

    def begin(
        self, process: DaemonProcess | None, before: Running, replacement: Replacement | None
    ) -> None:
        """Note what PROCESS uses and what its file is to hold. Raises OSError."""
        if process is None:
            return
        facts = {
            "pid": process.pid,
            "start": process.start,
            "filters": before.filters,
            "outputs": before.outputs,
            "digest": "" if replacement is None else _digest(replacement.data),
        }
        self._records.write(self._record, json.dumps(facts).encode())

    def end(self) -> None:
        """The change is made or undone."""
        self._records.remove(self._record)

    async def recover(
        self, process: DaemonProcess | None, read: Callable[[], Awaitable[bytes | None]]
    ) -> None:
        """Undo the daemon's half of a change whose file was not written.

        PROCESS is the daemon now; READ gives the file as it is.
        """
        record = self._records.read(self._record)
        if record is None:
            return
        try:
            facts = json.loads(record)
            same = process is not None and facts["pid"] == process.pid
            same = same and process is not None and facts["start"] == process.start
            if same and not await _written(facts["digest"], read):
                await self._runtime.restore(Running(facts["filters"], facts["outputs"]))
                log.info("%s logs again what it did before a change that was cut off", self._name)
        except NestdError as error:
            log.warning("What %s logged before a change is not restored: %s", self._name, error)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("The record of a change of %s cannot be read: %s", self._name, error)
        self.end()


async def _written(digest: str, read: Callable[[], Awaitable[bytes | None]]) -> bool:
    try:
        return bool(digest) and digest == _digest(await read() or b"")
    except ConfigUnparsable:
        return False  # certainly not what nestd was about to write


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

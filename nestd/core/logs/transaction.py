# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes a daemon's file and the running daemon, both or neither.

After any failure both are read back; what could not be undone is reported and stays on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nestd.core.errors import ConfigUnparsable, NestdError, NotRestored, system_reason
from nestd.core.logs.change import LogChange
from nestd.core.logs.pending import Pending
from nestd.core.logs.settings.file import read_bytes
from nestd.core.logs.settings.request import check_directories
from nestd.core.logs.settings.runtime import Running, Runtime
from nestd.core.logs.settings.service import DaemonService
from nestd.core.logs.settings.state import LogConfig, read_config
from nestd.host.editing.replacement import Replacement
from nestd.host.files import read_regular
from nestd.host.root import Root


class LogTransaction:
    """Makes CHANGE in the daemon of SERVICE, whose settings are RUNNING (None: not running)."""

    def __init__(
        self,
        root: Root,
        service: DaemonService,
        runtime: Runtime,
        pending: Pending,
        change: LogChange,
    ) -> None:
        self._root = root
        self._service = service
        self._runtime = runtime
        self._pending = pending
        self._change = change
        self._replacement: Replacement | None = None
        self._touched: Running | None = None  # the daemon's settings before the change
        self._restarted = False

    async def make(self) -> None:
        """Make the change. Raises NestdError or OSError with nothing changed, or NotRestored."""
        change = self._change
        if change.file is not None and change.edits:
            self._replacement = await asyncio.to_thread(change.file.replacement, self._root)
        async with self._undone_where_it_fails():
            process = self._service.process()
            await self._pending.begin(process, change.running, self._replacement)
            if change.sets and change.running is not None:
                self._touched = change.running
                await self._runtime.apply(change.settings)
            if self._replacement is not None:
                await asyncio.to_thread(self._replacement.commit)
            if change.restart and process is not None:
                await asyncio.to_thread(self._check_starts)
                self._touched, self._restarted = change.running, True
                await self._service.restart()

    @asynccontextmanager
    async def _undone_where_it_fails(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException as error:
            stands = await self._undo()
            await self._discard()
            if not stands:
                self._pending.end()
                raise
            await self._pending.keep_for_undo()
            raise NotRestored(
                f"{_reason(error)} This could not be undone: {'; '.join(stands)}."
                " It is tried again when nestd starts."
            ) from error
        self._pending.end()
        await self._discard()

    async def _discard(self) -> None:
        """Remove the backup; if the old bytes are still needed, the record has them."""
        if self._replacement is not None:
            await asyncio.to_thread(self._replacement.discard)

    def _check_starts(self) -> None:
        """Refuse a restart after which the daemon would not run, judged by the present file."""
        path = self._change.path
        try:
            config = read_config(read_bytes(self._root, path), path)
        except OSError as error:
            raise ConfigUnparsable(f"No restart: {system_reason(error)}.") from error
        check_starts(self._root, config)

    async def _undo(self) -> list[str]:
        """Restore everything and verify; returns what is still changed, as parts of a sentence."""
        stands = []
        if self._replacement is not None:
            stands += await asyncio.to_thread(_undo_file, self._replacement, self._change.path)
        return stands + await self._undo_running()

    async def _undo_running(self) -> list[str]:
        try:
            if self._restarted and self._service.process() is None:
                await self._service.start()
            if self._touched is not None and self._service.process() is not None:
                await self._runtime.restore(self._touched)
        except NestdError as error:
            # A daemon that exited by itself starts with its file's settings.
            if self._restarted or self._service.process() is not None:
                return [str(error).rstrip(".")]
        return []


def check_starts(root: Root, config: LogConfig) -> None:
    """Refuse a configuration that prevents a start. Raises ConfigUnparsable, InvalidOutput."""
    if config.error:
        raise ConfigUnparsable(f"No restart, since the daemon could not start: {config.error}.")
    check_directories(root, config.outputs)


def _undo_file(replacement: Replacement, path: str) -> list[str]:
    try:
        replacement.undo()
        if read_regular(replacement.target) != replacement.data:
            return []
        reason = ""
    except OSError as error:
        reason = f" ({system_reason(error)})"
    return [f"{path} has the new settings{reason}"]


def _reason(error: BaseException) -> str:
    if isinstance(error, NestdError):
        return str(error)
    if isinstance(error, OSError):
        return f"The change failed: {system_reason(error)}."
    return "The change was interrupted."

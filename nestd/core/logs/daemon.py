# SPDX-License-Identifier: LGPL-2.1-or-later
"""One libvirt daemon's log settings: reads, checks, plans and changes them.

A change takes two calls so that the bus can ask for authorization in between: prepare() checks it
and finds out whether there is anything to do, apply() does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import replace

from nestd.core.errors import (
    Busy,
    ConfigUnparsable,
    InvalidFilter,
    NotRestored,
    check_ours,
    write_failed,
)
from nestd.core.hidden import EVERYBODY, Reader
from nestd.core.journal_events import NOTICE, Event, about, not_restored
from nestd.core.logs.change import LogChange, LogPlan, LogWhen
from nestd.core.logs.debug_keeper import DebugKeeper
from nestd.core.logs.debug_session import DEFAULT_MAX_BYTES, DebugRequest, check_limits
from nestd.core.logs.pending import Pending
from nestd.core.logs.settings import request as log_request
from nestd.core.logs.settings.file import FileChange, change_file, duplicates, read_bytes
from nestd.core.logs.settings.request import LogSettings
from nestd.core.logs.settings.runtime import Running, Runtime
from nestd.core.logs.settings.service import DaemonService
from nestd.core.logs.settings.state import (
    Activation,
    LogConfig,
    LogState,
    overridden_by,
    read_config,
)
from nestd.core.logs.settings.warnings import standing_warnings
from nestd.core.logs.transaction import LogTransaction, check_starts
from nestd.formats import environment_file
from nestd.formats.libvirt import log_filters, log_outputs
from nestd.host import fingerprint, privacy
from nestd.host.editing.replacement import remove_leftovers
from nestd.host.files import read_below
from nestd.host.fingerprint import Fingerprint
from nestd.host.libvirt import daemons as libvirt_daemons
from nestd.host.libvirt.daemons import DaemonProcess
from nestd.host.libvirt.interface import LogAdmin, UnitFacts, Units
from nestd.host.root import Root
from nestd.host.state.undo_records import UndoRecords

_LARGEST_ENVIRONMENT_FILE = 1 << 20  # bytes
_FILE_OUTPUT = re.compile(r":file:(\S+)")


log = logging.getLogger(__name__)


class LogDaemon:
    """The daemon NAME. Call look() first."""

    def __init__(
        self,
        root: Root,
        name: str,
        units: Units,
        records: UndoRecords,
        admin: LogAdmin,
        on_change: Callable[[], None],
        *,
        is_ours: bool = True,
    ) -> None:
        self.name = name
        self.root = root
        self.on_change = on_change  # called after a requested change
        self.on_applied: list[Callable[[LogDaemon], None]] = []  # before on_change
        self.file_digest = ""  # of its configuration file at the last look, "" without one
        self._is_ours = is_ours
        self._service = DaemonService(root, name, units)
        self._runtime = Runtime(name, admin)
        self._lock = asyncio.Lock()
        self._state = LogState(name, libvirt_daemons.config_file(name))
        self._unread: tuple[str, ...] = ()
        self._config_seen = LogConfig()
        self._seen: Fingerprint | None = None  # of the file that was read
        self._pending = Pending(name, records, self._runtime)
        self.debug = DebugKeeper(
            root, self._service, name, records, self._runtime, self._lock, on_change
        )

    @property
    def state(self) -> LogState:
        """The state at the last look, and the present debug session."""
        return replace(self._state, debug=self.debug.shown)

    @property
    def unit(self) -> UnitFacts:
        """The facts of its unit at the last look."""
        return self._service.facts

    @property
    def is_busy(self) -> bool:
        """Whether settings are being changed, so that its file may contain nestd's own edit."""
        return self._lock.locked()

    async def look(self, *, units: bool = True) -> None:
        """Read everything again; UNITS is whether to ask the service manager as well."""
        process = await asyncio.to_thread(self._service.process)
        if units or process != self._state.process:
            await self._service.look()
        self._state = await asyncio.to_thread(self._read, self.unit)
        self.debug.wake()

    def set_unread(self, warnings: tuple[str, ...]) -> None:
        """Set the WARNINGS about files that look like this daemon's but are not read by it."""
        if warnings != self._unread:
            kept = self._state.warnings[len(self._unread) :]
            self._unread = warnings
            self._state = replace(self._state, warnings=(*warnings, *kept))

    async def resume(self) -> None:
        """Finish or undo the unfinished changes of the previous nestd."""
        async with self._lock:
            await self._pending.recover(self._state.process)
            with contextlib.suppress(OSError):
                config = self.root.follow(self._state.config_file)
                await asyncio.to_thread(remove_leftovers, config)
        await self.debug.resume()

    async def close(self) -> None:
        """Stop; the next start resumes a debug session."""
        await self.debug.close()

    async def running(self) -> Running:
        """The settings that the daemon uses now. Raises DaemonUnavailable."""
        if self._service.process() is None:
            raise self._service.unavailable()
        return await self._runtime.read()

    async def check(
        self, filters: str, outputs: str | None, reader: Reader = EVERYBODY
    ) -> tuple[str, tuple[str, ...]]:
        """The canonical filters, and warnings. Raises InvalidFilter or InvalidOutput."""
        config, sees = self._state.config, reader.sees_files
        settings = log_request.requested(self.root, config, filters, outputs or None, sees_all=sees)
        warnings = await asyncio.to_thread(
            log_request.warnings, self.root, config, settings, sees_all=sees
        )
        return log_filters.canonical(settings.filters), warnings

    def hides(self, outputs: str | None) -> bool:
        """Whether a plan with OUTPUTS contains text that some users may not see."""
        paths = _FILE_OUTPUT.findall(outputs or "")
        return not privacy.may_read(self.root, self._state.config_file) or not all(
            privacy.may_reach(self.root, path) for path in paths
        )

    async def plan(self, filters: str, outputs: str | None, reader: Reader = EVERYBODY) -> LogPlan:
        """The plan of a change for the daemon's next start, as far as READER may see it."""
        change = await self._prepare(filters, outputs, LogWhen.START, reader)
        assert change.file is not None
        file = change.file

        def work_out() -> LogPlan:
            sees = reader.sees_files
            found = log_request.warnings(self.root, file.outcome, change.settings, sees_all=sees)
            shown = sees or privacy.may_read(self.root, file.path)
            diff = file.diff if shown else file.public_diff
            return LogPlan(diff, self._steps(file), (*found, *self._warnings(file)))

        return await asyncio.to_thread(work_out)

    async def prepare(
        self,
        filters: str,
        outputs: str | None,
        when: LogWhen,
        *,
        reader: Reader = EVERYBODY,
        restart: bool = False,
    ) -> LogChange:
        """Check a change. Raises the error that refuses it, as far as READER may see it."""
        check_ours(self._is_ours)
        return await self._prepare(filters, outputs, when, reader, restart=restart)

    async def _prepare(
        self,
        filters: str,
        outputs: str | None,
        when: LogWhen,
        reader: Reader,
        *,
        restart: bool = False,
    ) -> LogChange:
        config = await asyncio.to_thread(self._config)
        sees = reader.sees_files
        settings = log_request.requested(self.root, config, filters, outputs, sees_all=sees)
        log_request.check_directories(self.root, settings.outputs or (), sees_all=sees)
        file = None if when is LogWhen.RUNTIME else await self._file_change(settings)
        change = LogChange(self._state.config_file, settings, when, restart, file, None)
        if when is not LogWhen.START:
            self._check_no_session()
            change = await self._with_running(change)
        if restart and file is not None:
            await asyncio.to_thread(check_starts, self.root, file.outcome)
        return change

    async def _with_running(self, change: LogChange) -> LogChange:
        """The change with the daemon's present settings. Raises DaemonUnavailable."""
        if self._service.process() is not None:
            return replace(change, running=await self._runtime.read(), starts=False)
        if self._service.starts_on_demand:
            return replace(change, running=None, starts=True)
        if change.when is LogWhen.RUNTIME:
            raise self._service.unavailable()
        return replace(change, running=None, starts=False)

    def prepare_debug(
        self,
        filters: str,
        outputs: str | None,
        seconds: int,
        max_bytes: int | None,
        reader: Reader = EVERYBODY,
    ) -> DebugRequest:
        """Check a debug session of SECONDS; "" or None outputs mean a separate file.

        Raises InvalidArgument, InvalidFilter, InvalidOutput, NotSupported or DaemonUnavailable.
        """
        check_ours(self._is_ours)
        limit = DEFAULT_MAX_BYTES if max_bytes is None else max_bytes
        check_limits(seconds, limit)
        config, sees = self._state.config, reader.sees_files
        settings = log_request.requested(self.root, config, filters, outputs or None, sees_all=sees)
        if not settings.filters:
            raise InvalidFilter("A debug session needs filters: without any there is no debug log.")
        log_request.check_directories(self.root, settings.outputs or (), sees_all=sees)
        if self._service.process() is None and not self._service.starts_on_demand:
            raise self._service.unavailable()
        return DebugRequest(settings, seconds, limit)

    async def apply(self, change: LogChange, uid: int) -> LogChange:
        """Make the change for the user UID, both halves or neither; returns the change as made.

        Raises the errors of nestd.core.errors with nothing changed, or NotRestored, whose text says
        what is in effect.
        """
        async with self._lock:
            # The state may have changed during authentication.
            try:
                change = await self._again(change)
                await self._apply(change)
            except OSError as error:
                raise write_failed(error) from error
            except NotRestored as error:
                text = "User %d was to set the log filters of %s: %s"
                log.error(text, uid, self.name, error, extra=not_restored(self.name, uid))
                raise
            finally:
                await self.look(units=False)
                for listener in self.on_applied:
                    listener(self)
                self.on_change()
        self._log_change(change, uid)
        return change

    def _log_change(self, change: LogChange, uid: int) -> None:
        settings, when = change.settings, change.when.value
        filters = log_filters.canonical(settings.filters)
        outputs = log_outputs.canonical(settings.outputs or ())
        fields = about(
            Event.FILTERS_CHANGED,
            daemon=self.name,
            when=when,
            filters=filters,
            outputs=outputs,
            file="" if change.file is None else change.file.path,
            caller_uid=uid,
        )
        settings_text = f"{filters or 'none'}{'; outputs: ' if outputs else ''}{outputs}"
        text = "User %d set the log filters of %s (%s): %s"
        log.log(NOTICE, text, uid, self.name, when, settings_text, extra=fields)

    async def _apply(self, change: LogChange) -> None:
        """Make the change; a daemon started for it keeps running, as if a client had connected."""
        if change.starts and not change.nothing_to_do:
            await self._service.start()
            change = await self._with_running(change)
        transaction = LogTransaction(self.root, self._service, self._runtime, self._pending, change)
        await transaction.make()

    async def _again(self, change: LogChange) -> LogChange:
        """Derive the same change again from the present state."""
        file = await self._file_change(change.settings) if change.file is not None else None
        change = replace(change, file=file)
        if change.when is LogWhen.START:
            return change
        self._check_no_session()
        return await self._with_running(change)

    async def _file_change(self, settings: LogSettings) -> FileChange:
        path = self._state.config_file
        data = await self._bytes()
        return await asyncio.to_thread(change_file, path, data, settings)

    async def _bytes(self) -> bytes | None:
        """Read the configuration file. Raises ConfigUnparsable if it cannot be read."""
        path = self._state.config_file
        try:
            return await asyncio.to_thread(read_bytes, self.root, path)
        except OSError as error:
            raise ConfigUnparsable(f"{path} cannot be read: {error.strerror}.") from error

    def _config(self) -> LogConfig:
        path = self._state.config_file
        seen = None
        try:
            seen = fingerprint.settled(self.root.follow(path))
            if seen is not None and seen == self._seen:
                return self._config_seen
            data = read_bytes(self.root, path)
            self.file_digest = "" if data is None else hashlib.sha256(data).hexdigest()
            config = read_config(data, path)
        except OSError as error:
            config = LogConfig(error=f"{path}: {error.strerror}")
        self._config_seen, self._seen = config, seen
        return config

    def _read(self, unit: UnitFacts) -> LogState:
        process, config = self._service.process(), self._config()
        return replace(
            self._state,
            config=config,
            process=process,
            overridden_by=overridden_by(process, unit, self._environment(unit)),
            activation=_activation(process, unit),
            warnings=tuple(
                dict.fromkeys((*self._unread, *standing_warnings(self.root, self.name, config)))
            ),
        )

    def _environment(self, unit: UnitFacts) -> list[dict[str, str]]:
        found = []
        for path in unit.environment_files:
            try:
                data = read_below(self.root, path, _LARGEST_ENVIRONMENT_FILE) or b""
            except OSError:
                continue
            found.append(dict(environment_file.parse(data)))
        return found

    def _check_no_session(self) -> None:
        if self.debug.until:
            raise Busy(f'{self.name} has a debug session: end it first, or use "start".')

    def _steps(self, file: FileChange) -> tuple[str, ...]:
        return (f"Write {file.path}; {self.name} uses it from its next start.",) * file.edits

    def _warnings(self, file: FileChange) -> tuple[str, ...]:
        found = [*duplicates(file)]
        if file.outcome.error:
            found.append(f"{self.name} cannot start: {file.outcome.error}.")
        if self._state.overridden_by:
            found.append(f"{self._state.overridden_by} overrides {file.path}.")
        return tuple(found)


def _activation(process: DaemonProcess | None, unit: UnitFacts) -> Activation:
    if process is not None:
        return Activation.RUNNING
    return Activation.SOCKET if unit.listening else Activation.STOPPED

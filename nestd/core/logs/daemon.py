# SPDX-License-Identifier: LGPL-2.1-or-later
"""One libvirt daemon's log settings: read, checked, planned and changed.

A change is made in two calls, so that the bus can ask for authorization in between: prepare()
checks it and finds out whether there is anything to do, apply() does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace

from nestd.core.errors import (
    Busy,
    ConfigUnparsable,
    DaemonUnavailable,
    InvalidFilter,
    check_ours,
    write_failed,
)
from nestd.core.journal_events import NOTICE, Event, about
from nestd.core.logs import request as log_request
from nestd.core.logs.change import LogChange, LogPlan, LogWhen
from nestd.core.logs.debug_keeper import DebugKeeper
from nestd.core.logs.debug_session import DEFAULT_MAX_BYTES, DebugRequest, check_limits
from nestd.core.logs.file import FileChange, change_file, duplicates, read_bytes
from nestd.core.logs.pending import Pending
from nestd.core.logs.request import LogSettings
from nestd.core.logs.runtime import Running, Runtime
from nestd.core.logs.state import LogConfig, LogState, overridden_by, read_config
from nestd.core.logs.units import UnitFacts, Units
from nestd.formats import environment_file
from nestd.formats.libvirt import log_filters, log_outputs
from nestd.host.editing.replacement import remove_leftovers
from nestd.host.files import read_below
from nestd.host.libvirt import daemons as libvirt_daemons
from nestd.host.libvirt.daemons import DaemonProcess, fingerprint
from nestd.host.libvirt.virt_admin import VirtAdmin
from nestd.host.root import Root
from nestd.host.state.debug_records import LogRecords

_LARGEST_ENVIRONMENT_FILE = 1 << 20  # bytes


log = logging.getLogger(__name__)


class LogDaemon:
    """The daemon NAME. look() comes before anything else."""

    def __init__(
        self,
        root: Root,
        name: str,
        units: Units,
        records: LogRecords,
        admin: VirtAdmin,
        on_change: Callable[[], None],
        *,
        is_ours: bool = True,
    ) -> None:
        self.name = name
        self.root = root
        self.on_change = on_change  # called after what was asked for here
        self._is_ours = is_ours
        self._units = units
        self.unit = UnitFacts()
        self._runtime = Runtime(name, admin)
        self._lock = asyncio.Lock()
        self._state = LogState(name, libvirt_daemons.config_file(name))
        self._config_seen = LogConfig()
        self._seen: object = None  # the fingerprint of the file that this was read from
        self._pending = Pending(name, records, self._runtime)
        self.debug = DebugKeeper(root, name, records, self._runtime, self._lock, on_change)

    @property
    def state(self) -> LogState:
        """What was seen at the last look, and the debug session at this moment."""
        return replace(self._state, debug_until=self.debug.until)

    async def look(self, *, units: bool = True) -> None:
        """Read everything again; UNITS is whether the service manager is to be asked as well."""
        process = await asyncio.to_thread(self._process)
        if units or process != self._state.process:
            self.unit = await self._units.read(self.name)
        self._state = await asyncio.to_thread(self._read, self.unit)
        self.debug.wake()

    async def resume(self) -> None:
        """Finish or undo what nestd left behind when it ended."""
        async with self._lock:
            await self._pending.recover(self._state.process, self._bytes)
            with contextlib.suppress(OSError):
                config = self.root.follow(self._state.config_file)
                await asyncio.to_thread(remove_leftovers, config)
        await self.debug.resume()

    async def close(self) -> None:
        """Stop working; a debug session is resumed at the next start."""
        await self.debug.close()

    async def running(self) -> Running:
        """What the daemon uses now. Raises DaemonUnavailable."""
        if self._process() is None:
            raise DaemonUnavailable(f"{self.name} does not run.")
        return await self._runtime.read()

    async def check(self, filters: str, outputs: str | None) -> tuple[str, tuple[str, ...]]:
        """The canonical filters, and warnings. Raises InvalidFilter or InvalidOutput."""
        config = self._state.config
        settings = log_request.requested(self.root, config, filters, outputs or None)
        warnings = await asyncio.to_thread(log_request.warnings, self.root, config, settings)
        return log_filters.canonical(settings.filters), warnings

    async def plan(self, filters: str, outputs: str | None) -> LogPlan:
        """What a change for the daemon's next start would write."""
        change = await self._prepare(filters, outputs, LogWhen.START)
        assert change.file is not None
        file = change.file

        def work_out() -> LogPlan:
            found = log_request.warnings(self.root, file.outcome, change.settings)
            return LogPlan(file.diff, self._steps(file), (*found, *self._warnings(file)))

        return await asyncio.to_thread(work_out)

    async def prepare(
        self, filters: str, outputs: str | None, when: LogWhen, *, restart: bool = False
    ) -> LogChange:
        """Check a change. Raises what stands against it."""
        check_ours(self._is_ours)
        return await self._prepare(filters, outputs, when, restart=restart)

    async def _prepare(
        self, filters: str, outputs: str | None, when: LogWhen, *, restart: bool = False
    ) -> LogChange:
        config = await asyncio.to_thread(self._config)
        settings = log_request.requested(self.root, config, filters, outputs)
        log_request.check_directories(self.root, settings.outputs or ())
        file = None if when is LogWhen.RUNTIME else await self._file_change(settings)
        running = None
        if when is not LogWhen.START:
            self._check_no_session()
            if when is LogWhen.RUNTIME or self._process() is not None:
                running = await self.running()
        if restart and file is not None:
            await asyncio.to_thread(_check_starts, self.root, file)
        return LogChange(settings, when, restart, file, running)

    def prepare_debug(
        self, filters: str, outputs: str | None, seconds: int, max_bytes: int | None
    ) -> DebugRequest:
        """Check a debug session of SECONDS; "" or None outputs mean a file of its own.

        Raises InvalidArgument, InvalidFilter, InvalidOutput, NotSupported or DaemonUnavailable.
        """
        check_ours(self._is_ours)
        limit = DEFAULT_MAX_BYTES if max_bytes is None else max_bytes
        check_limits(seconds, limit)
        settings = log_request.requested(self.root, self._state.config, filters, outputs or None)
        if not settings.filters:
            raise InvalidFilter("A debug session needs filters: without any there is no debug log.")
        log_request.check_directories(self.root, settings.outputs or ())
        if self._process() is None:
            raise DaemonUnavailable(f"{self.name} does not run.")
        return DebugRequest(settings, seconds, limit)

    async def apply(self, change: LogChange, uid: int) -> None:
        """Make the change for the user UID, both halves or none.

        Raises the errors of nestd.core.errors, then with everything as it was before.
        """
        async with self._lock:
            # The state may have changed while the caller was asked for a password.
            change = await self._again(change)
            try:
                await self._apply(change)
            except OSError as error:
                raise write_failed(error) from error
            finally:
                await self.look(units=False)
                self.on_change()
        self._tell(change, uid)

    def _tell(self, change: LogChange, uid: int) -> None:
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
        told = f"{filters or 'none'}{'; outputs: ' if outputs else ''}{outputs}"
        text = "User %d set the log filters of %s (%s): %s"
        log.log(NOTICE, text, uid, self.name, when, told, extra=fields)

    async def _apply(self, change: LogChange) -> None:
        replacement = None
        if change.file is not None and change.edits:
            replacement = await asyncio.to_thread(change.file.replacement, self.root)
        undo = None
        try:
            if change.sets and change.running is not None:
                self._pending.begin(self._process(), change.running, replacement)
                await self._runtime.apply(change.settings, change.running)
                undo = change.running
            if replacement is not None:
                await asyncio.to_thread(replacement.commit)
            if change.restart:
                await self._units.try_restart(self.name)
        except BaseException:
            if replacement is not None:
                if replacement.committed:
                    await asyncio.to_thread(replacement.undo)
                replacement.discard()
            if change.restart:
                await self._units.start(self.name)
            elif undo is not None and self._process() is not None:
                await self._runtime.restore(undo)
            raise
        finally:
            self._pending.end()
        if replacement is not None:
            replacement.discard()

    async def _again(self, change: LogChange) -> LogChange:
        """The same change on the state of now."""
        if change.when is not LogWhen.START:
            self._check_no_session()
        file = await self._file_change(change.settings) if change.file is not None else None
        running = None
        if change.when is not LogWhen.START and (
            change.when is LogWhen.RUNTIME or self._process() is not None
        ):
            running = await self.running()
        return replace(change, file=file, running=running)

    async def _file_change(self, settings: LogSettings) -> FileChange:
        path = self._state.config_file
        data = await self._bytes()
        return await asyncio.to_thread(change_file, path, data, settings)

    async def _bytes(self) -> bytes | None:
        """The configuration file. Raises ConfigUnparsable where it cannot be read."""
        path = self._state.config_file
        try:
            return await asyncio.to_thread(read_bytes, self.root, path)
        except OSError as error:
            raise ConfigUnparsable(f"{path} cannot be read: {error.strerror}.") from error

    def _process(self) -> DaemonProcess | None:
        """Looked at anew: a daemon that has gone must not be started by being asked."""
        return libvirt_daemons.read_process(self.root, self.name)

    def _config(self) -> LogConfig:
        path = self._state.config_file
        seen = None
        try:
            seen = fingerprint(self.root.follow(path))
            if seen is not None and seen == self._seen:
                return self._config_seen
            config = read_config(read_bytes(self.root, path), path)
        except OSError as error:
            config = LogConfig(error=f"{path}: {error.strerror}")
        self._config_seen, self._seen = config, seen
        return config

    def _read(self, unit: UnitFacts) -> LogState:
        process = self._process()
        return replace(
            self._state,
            config=self._config(),
            process=process,
            overridden_by=overridden_by(process, unit, self._environment(unit)),
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
            raise Busy(
                f"{self.name} writes debug logs for some time: end that session first, or ask for"
                ' "start".'
            )

    def _steps(self, file: FileChange) -> tuple[str, ...]:
        return (f"Write {file.path}; {self.name} uses it from its next start.",) * file.edits

    def _warnings(self, file: FileChange) -> tuple[str, ...]:
        found = [*duplicates(file)]
        if file.outcome.error:
            found.append(f"{self.name} cannot start: {file.outcome.error}.")
        if self._state.overridden_by:
            found.append(f"{self._state.overridden_by} decides over {file.path}.")
        return tuple(found)


def _check_starts(root: Root, file: FileChange) -> None:
    """Refuse a restart that would leave no daemon. Raises ConfigUnparsable, InvalidOutput."""
    outcome = file.outcome
    if outcome.error:
        raise ConfigUnparsable(f"No restart, for the daemon could not start: {outcome.error}.")
    log_request.check_directories(root, outcome.outputs)

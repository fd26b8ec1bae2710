# SPDX-License-Identifier: LGPL-2.1-or-later
"""Maintains a daemon's debug session: applies it, again after a daemon restart, and undoes it.

The state to restore is recorded before the first step and the record removed after the last, so
that the next nestd can continue after a kill. Time and size are checked once a second, only while
there is a session.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace

from nestd.core.errors import (
    DaemonUnavailable,
    InvalidOutput,
    NestdError,
    NotRestored,
    WriteFailed,
)
from nestd.core.journal_events import NOTICE, OURSELVES, Event, about, not_restored
from nestd.core.logs.debug_session import (
    DebugRequest,
    DebugSession,
    Target,
    boot_time,
)
from nestd.core.logs.settings.request import LogSettings, check_directories
from nestd.core.logs.settings.runtime import Running, Runtime
from nestd.core.logs.settings.service import DaemonService
from nestd.core.logs.settings.state import NO_SESSION, DebugShown, timeout_of
from nestd.formats.libvirt import log_outputs
from nestd.formats.libvirt.log_items import InvalidItem
from nestd.host.libvirt import log_targets
from nestd.host.libvirt.daemons import DaemonProcess
from nestd.host.root import Root
from nestd.host.state.undo_records import UndoRecords

LOOK_SECONDS = 1.0
RETRY_SECONDS = 5.0  # after a daemon that did not answer

log = logging.getLogger(__name__)


class DebugKeeper:
    """The session of the daemon NAME, if there is one. Changing settings requires LOCK."""

    def __init__(
        self,
        root: Root,
        service: DaemonService,
        name: str,
        records: UndoRecords,
        runtime: Runtime,
        lock: asyncio.Lock,
        on_change: Callable[[], None],
    ) -> None:
        self._root = root
        self._service = service
        self._name = name
        self._record = f"{name}.debug"
        self._records = records
        self._runtime = runtime
        self._lock = lock
        self._session: DebugSession | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._not_before = 0.0  # when to retry a daemon that did not answer
        self._unsure = False  # whether the previous nestd may not have applied all of it
        self._written = 0  # bytes written by the session, at the last look
        self._on_change = on_change
        # Called with the daemon, why its session ended, and who asked for that.
        self.on_end: list[Callable[[str, str, int | None], None]] = []

    @property
    def until(self) -> int:
        """The end of the session, in microseconds of CLOCK_REALTIME; 0 without a session."""
        return self._session.until if self._session is not None else 0

    @property
    def shown(self) -> DebugShown:
        """The session's state as shown to clients."""
        if self._session is None:
            return NO_SESSION
        session = self._session
        return DebugShown(session.until, session.filters, session.file(self._name), self._written)

    def wake(self) -> None:
        """Check again, since the daemon may have started or ended."""
        self._wake.set()

    async def start(self, request: DebugRequest, uid: int) -> None:
        """Start a session for the user UID, or give the running one new settings.

        Starts an idle daemon. Raises DaemonUnavailable, InvalidFilter, InvalidOutput or WriteFailed
        with nothing changed, or NotRestored; the session then lasts until the previous settings are
        restored.
        """
        async with self._lock:
            former = self._session
            if self._process() is None:
                await self._service.start()
            target = await self._target()
            session = DebugSession.begin(request, target)
            check_directories(self._root, self._settings(session, target).outputs or ())
            session = replace(session, sizes=await self._sizes(session))
            await self._write(session)
            try:
                await self._apply(session, target)
            except BaseException as error:
                await self._fall_back(former, session, error, uid)
                raise
            # The time that applying took does not count.
            session = session.lasting(request.seconds)
            with contextlib.suppress(WriteFailed):
                await self._write(session)
            self._set(session)
        text = "%s writes debug logs for %d s: %s"
        fields = about(
            Event.DEBUG_STARTED, daemon=self._name, filters=session.filters, caller_uid=uid
        )
        log.log(NOTICE, text, self._name, request.seconds, session.filters, extra=fields)

    async def stop(self, uid: int) -> None:
        """End the session for the user UID and restore the previous settings.

        Raises DaemonUnavailable.
        """
        async with self._lock:
            if self._session is not None:
                await self._end(f"user {uid} asked for it", uid)

    async def resume(self) -> None:
        """Continue the session of the previous nestd."""
        record = self._records.read(self._record)
        if record is None:
            return
        try:
            session = DebugSession.from_json(record)
        except ValueError as error:
            log.warning("The debug session of %s cannot be read: %s", self._name, error)
            self._records.remove(self._record)
            return
        self._unsure = True
        self._set(session)

    async def close(self) -> None:
        """Stop; the record stays for the next nestd."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping

    # The life of a session

    def _set(self, session: DebugSession | None) -> None:
        self._session = session
        self._written = 0
        self._on_change()
        self._wake.set()
        if session is not None and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while self._session is not None:
            self._wake.clear()
            pause = max(0.0, min(LOOK_SECONDS, self._session.remaining))
            if self._not_before > boot_time():
                pause = LOOK_SECONDS
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            async with self._lock:
                try:
                    await self._look()
                except NestdError as error:
                    log.debug("The debug session of %s: %s", self._name, error)
                    self._not_before = boot_time() + RETRY_SECONDS
                except Exception:
                    log.exception("The debug session of %s", self._name)
                    self._not_before = boot_time() + RETRY_SECONDS

    async def _look(self) -> None:
        session = self._session
        if session is None or (self._not_before > boot_time() and self._process() is not None):
            return
        if self._is_over():
            await self._end("its time is over")
            return
        session = session.by_the_clock()
        if session is not self._session:
            self._session = session
            self._on_change()
        self._log_written(session.grown(await self._sizes(session)))
        if self._written > session.max_bytes:
            await self._end(f"more than {session.max_bytes} bytes were logged")
            return
        if session.target is None or not session.target.is_process(self._process()):
            await self._apply_anew(session)
        elif self._unsure:
            await self._apply(session, session.target)
            self._unsure = False

    def _log_written(self, count: int) -> None:
        if count != self._written:
            self._written = count
            self._on_change()

    def _is_over(self) -> bool:
        return self._session is not None and (self._session.over or self._session.remaining <= 0)

    async def _apply_anew(self, session: DebugSession) -> None:
        """Apply the session to a restarted daemon, which has its file's settings."""
        if self._process() is None:
            return
        target = await self._new_target()
        session = replace(session, target=target)
        await self._write(session)
        await self._apply(session, target)
        self._session = session
        self._unsure = False
        log.info("%s has restarted, and writes debug logs again", self._name)

    async def _apply(self, session: DebugSession, target: Target) -> None:
        await self._runtime.apply(self._settings(session, target))
        if target.timeout is not None:
            await self._runtime.set_timeout(0)

    async def _end(self, why: str, uid: int | None = None) -> None:
        session = self._session
        assert session is not None
        if not session.over:
            session = session.ended()
            self._session = session
            with contextlib.suppress(WriteFailed):
                await self._write(session)
        await self._restore(session.target)
        self._records.remove(self._record)
        self._set(None)
        caller = OURSELVES if uid is None else uid
        fields = about(Event.DEBUG_ENDED, daemon=self._name, caller_uid=caller)
        log.log(NOTICE, "The debug session of %s has ended: %s", self._name, why, extra=fields)
        for listener in self.on_end:
            listener(self._name, why, uid)

    async def _restore(self, target: Target | None) -> None:
        """Restore the settings; a process started later needs nothing."""
        if target is None or not target.is_process(self._process()):
            return
        try:
            await self._runtime.restore(target.before)
            if target.timeout is not None:
                await self._runtime.set_timeout(target.timeout)
        except DaemonUnavailable:
            if target.is_process(self._process()):
                raise

    async def _fall_back(
        self, former: DebugSession | None, session: DebugSession, error: BaseException, uid: int
    ) -> None:
        """After SESSION could not begin, continue the previous one or restore the settings.

        Raises NotRestored if that fails; the keeper or the next start tries again.
        """
        try:
            if former is not None and former.target is not None:
                await self._write(former)
                await self._apply(former, former.target)
                return
            await self._restore(session.target)
            self._records.remove(self._record)
        except (NestdError, OSError) as second:
            if former is None:
                with contextlib.suppress(WriteFailed):
                    await self._write(session.ended())
                self._not_before = boot_time() + RETRY_SECONDS
                self._set(session.ended())
            else:
                self._unsure = True  # the keeper applies the previous session again
            text = (
                f"{_sentence(error)} {self._name} may write debug logs, and what it logged before"
                f" could not be restored: {second} nestd keeps trying until it works."
            )
            log.error("%s", text, extra=not_restored(self._name, uid))
            raise NotRestored(text) from error

    async def _target(self) -> Target:
        """The process with its settings before any session. Raises DaemonUnavailable."""
        session = self._session
        former = None if session is None else session.target
        if former is not None and former.is_process(self._process()):
            return former
        return await self._new_target()

    async def _new_target(self) -> Target:
        process = self._process()
        if process is None:
            raise self._service.unavailable()
        before = await self._runtime.read()
        timeout = timeout_of(process)
        return Target(process.pid, process.start, before.filters, before.outputs, timeout)

    def _settings(self, session: DebugSession, target: Target) -> LogSettings:
        try:
            return session.settings(self._name, target.before)
        except InvalidItem as error:
            raise InvalidOutput(f"{self._name} reports an unknown output: {error}.") from error

    async def _sizes(self, session: DebugSession) -> dict[str, int]:
        before = session.target.before if session.target is not None else Running("", "")
        try:
            outputs = session.settings(self._name, before).outputs or ()
        except InvalidItem:
            outputs = ()
        paths = log_outputs.file_paths(outputs)
        return dict(await asyncio.to_thread(log_targets.sizes, self._root, paths))

    def _process(self) -> DaemonProcess | None:
        return self._service.process()

    async def _write(self, session: DebugSession) -> None:
        try:
            await asyncio.to_thread(self._records.write, self._record, session.to_json())
        except OSError as error:
            raise WriteFailed(
                f"Nothing was changed: the session cannot be recorded: {error.strerror}."
            ) from error


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, NestdError) else "The session could not begin."

# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.LogDaemon: the log settings of one libvirt daemon."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from nestd.bus import arguments
from nestd.bus.authorization import Action, Authorizer
from nestd.bus.declared import DeclaredInterface, needs, reads
from nestd.core.hidden import AUTHORIZED, Reader
from nestd.core.history.entry import Kind
from nestd.core.history.history import History, Request
from nestd.core.history.undo import undo_of_logs
from nestd.core.logs.change import LogWhen
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.dbus.values import Call, Variant
from nestd.formats.api import log_daemon
from nestd.formats.libvirt import log_filters, log_outputs

if TYPE_CHECKING:
    from nestd.core.logs.daemon import LogDaemon

_SET = {"outputs": "s", "restart": "b"}
_PLAN = {"outputs": "s"}
_DEBUG = {"outputs": "s", "max_bytes": "t"}


class LogDaemonInterface(DeclaredInterface):
    """The log settings of one daemon."""

    spec = InterfaceSpec.of(log_daemon.TABLE)

    def __init__(self, daemon: LogDaemon, history: History, authorizer: Authorizer) -> None:
        super().__init__(authorizer)
        self._daemon = daemon
        self._history = history
        self._details = {"daemon": daemon.name}

    def properties(self) -> Mapping[str, object]:
        state = self._daemon.state
        return {
            "Name": state.name,
            "ConfigFile": state.config_file,
            "Active": state.active,
            "Filters": _text(log_filters.canonical(state.config.filters)),
            "Outputs": _text(log_outputs.canonical(state.config.outputs)),
            "Level": state.config.level,
            "OverriddenBy": _text(state.overridden_by),
            "DebugUntil": state.debug.until,
            "ConfigError": _text(state.config.error),
            "Activation": state.activation.value,
            "Warnings": [_text(each) for each in state.warnings],
            "DebugFilters": state.debug.filters,
            "DebugFile": state.debug.file,
            "DebugBytes": state.debug.written,
        }

    @reads("GetRunning")
    async def _get_running(self, call: Call) -> Sequence[object]:
        running = await self._daemon.running()
        return [
            _text(log_filters.canonical(running.parsed_filters())),
            _text(log_outputs.canonical(running.parsed_outputs())),
        ]

    @needs("SetFilters", Action.CONFIGURE_LOGS)
    async def _set_filters(self, call: Call) -> Sequence[object]:
        filters, word, given = call.args
        when = arguments.when(word, LogWhen)
        options = arguments.Options(given, _SET)
        outputs, restart = options.text("outputs"), options.flag("restart")
        asked = f"filters: {arguments.text(filters) or 'none'}"
        asked += "" if outputs is None else f"; outputs: {outputs or 'the default'}"
        async with self._requested(call, Kind.LOGS, f"{asked} ({when.value})") as request:
            prepare = functools.partial(
                self._daemon.prepare, arguments.text(filters), outputs, when, restart=restart
            )
            change = await prepare()
            if not change.nothing_to_do:
                request.uid = await self.authorize(call, Action.CONFIGURE_LOGS, self._details)
                change = await prepare(reader=AUTHORIZED)
                made = await self._daemon.apply(change, request.uid)
                request.happened, request.undo = True, undo_of_logs(made)
        return []

    def _requested(
        self, call: Call, kind: Kind, asked: str
    ) -> AbstractAsyncContextManager[Request]:
        """Record the request and its outcome in the history."""
        who = functools.partial(self.authorizer.uid_of, call.sender)
        return self._history.request(kind, self._daemon.name, asked, who)

    @reads("CheckFilters")
    async def _check_filters(self, call: Call) -> Sequence[object]:
        filters, outputs = call.args
        reader = await self._reader(call, arguments.text(outputs))
        canonical, warnings = await self._daemon.check(
            arguments.text(filters), arguments.text(outputs), reader
        )
        return [canonical, warnings]

    @needs("StartDebug", Action.DEBUG_LOGS)
    async def _start_debug(self, call: Call) -> Sequence[object]:
        filters, seconds, given = call.args
        options = arguments.Options(given, _DEBUG)
        asked = f"debug logs for {arguments.number(seconds)} s: {arguments.text(filters)}"
        async with self._requested(call, Kind.DEBUG, asked) as request:
            prepare = functools.partial(
                self._daemon.prepare_debug,
                arguments.text(filters),
                options.text("outputs"),
                arguments.number(seconds),
                options.number("max_bytes"),
            )
            prepare()
            request.uid = await self.authorize(call, Action.DEBUG_LOGS, self._details)
            session = prepare(AUTHORIZED)
            await self._daemon.debug.start(session, request.uid)
            request.happened = True
        return []

    @needs("StopDebug", Action.DEBUG_LOGS)
    async def _stop_debug(self, call: Call) -> Sequence[object]:
        if self._daemon.debug.until:
            uid = await self.authorize(call, Action.DEBUG_LOGS, self._details)
            await self._daemon.debug.stop(uid)
        return []

    @reads("Plan")
    async def _plan(self, call: Call) -> Sequence[object]:
        filters, given = call.args
        outputs = arguments.Options(given, _PLAN).text("outputs")
        reader = await self._reader(call, outputs)
        plan = await self._daemon.plan(arguments.text(filters), outputs, reader)
        return [
            {
                "diff": Variant("s", plan.diff),
                "steps": Variant("as", plan.steps),
                "warnings": Variant("as", plan.warnings),
            }
        ]

    async def _reader(self, call: Call, outputs: str | None) -> Reader:
        """The caller's rights; asks polkit only if OUTPUTS or the daemon's file hide anything."""
        hidden = await asyncio.to_thread(self._daemon.hides, outputs)
        action = Action.CONFIGURE_LOGS if hidden else None
        return await self.authorizer.reader(call, files=action)


def _text(found: str) -> str:
    """Text from a file or a daemon as a valid D-Bus string: no NUL, no lone surrogates."""
    text = found.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00")

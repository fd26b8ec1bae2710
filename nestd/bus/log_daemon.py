# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.LogDaemon: the log settings of one libvirt daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nestd.bus import arguments
from nestd.bus.authorization import Action, Authorizer
from nestd.core.logs.change import LogWhen
from nestd.core.logs.daemon import LogDaemon
from nestd.dbus.connection.wire import Call, Variant
from nestd.dbus.objects.exported import Handler, Interface
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.formats.api import log_daemon
from nestd.formats.libvirt import log_filters, log_outputs

_SET = {"outputs": "s", "restart": "b"}
_PLAN = {"outputs": "s"}
_DEBUG = {"outputs": "s", "max_bytes": "t"}


class LogDaemonInterface(Interface):
    """One LogDaemon."""

    spec = InterfaceSpec.of(log_daemon.TABLE)

    def __init__(self, daemon: LogDaemon, authorizer: Authorizer) -> None:
        self._daemon = daemon
        self._authorizer = authorizer
        self._details = {"daemon": daemon.name}

    def methods(self) -> Mapping[str, Handler]:
        return {
            "GetRunning": self._get_running,
            "SetFilters": self._set_filters,
            "CheckFilters": self._check_filters,
            "StartDebug": self._start_debug,
            "StopDebug": self._stop_debug,
            "Plan": self._plan,
        }

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
            "DebugUntil": state.debug_until,
            "ConfigError": _text(state.config.error),
        }

    async def _get_running(self, call: Call) -> Sequence[object]:
        running = await self._daemon.running()
        return [
            _text(log_filters.canonical(running.parsed_filters())),
            _text(log_outputs.canonical(running.parsed_outputs())),
        ]

    async def _set_filters(self, call: Call) -> Sequence[object]:
        filters, word, given = call.args
        when = arguments.when(word, LogWhen)
        options = arguments.options(given, _SET)
        outputs = _outputs(options)
        restart = bool(options.get("restart", False))
        change = await self._daemon.prepare(str(filters), outputs, when, restart=restart)
        if not change.nothing_to_do:
            await self._authorizer.require(call, Action.CONFIGURE_LOGS, self._details)
            await self._daemon.apply(change, await self._authorizer.uid_of(call.sender))
        return []

    async def _check_filters(self, call: Call) -> Sequence[object]:
        filters, outputs = call.args
        canonical, warnings = await self._daemon.check(str(filters), str(outputs))
        return [canonical, warnings]

    async def _start_debug(self, call: Call) -> Sequence[object]:
        filters, seconds, given = call.args
        options = arguments.options(given, _DEBUG)
        max_bytes = options.get("max_bytes")
        request = self._daemon.prepare_debug(
            str(filters),
            _outputs(options),
            int(str(seconds)),
            None if max_bytes is None else int(str(max_bytes)),
        )
        await self._authorizer.require(call, Action.DEBUG_LOGS, self._details)
        await self._daemon.debug.start(request, await self._authorizer.uid_of(call.sender))
        return []

    async def _stop_debug(self, call: Call) -> Sequence[object]:
        if self._daemon.debug.until:
            await self._authorizer.require(call, Action.DEBUG_LOGS, self._details)
            await self._daemon.debug.stop(await self._authorizer.uid_of(call.sender))
        return []

    async def _plan(self, call: Call) -> Sequence[object]:
        filters, given = call.args
        outputs = _outputs(arguments.options(given, _PLAN))
        plan = await self._daemon.plan(str(filters), outputs)
        return [
            {
                "diff": Variant("s", plan.diff),
                "steps": Variant("as", plan.steps),
                "warnings": Variant("as", plan.warnings),
            }
        ]


def _outputs(options: Mapping[str, object]) -> str | None:
    return str(options["outputs"]) if "outputs" in options else None


def _text(found: str) -> str:
    """What came from a file or a daemon, as D-Bus takes it: no NUL, no lone surrogates."""
    text = found.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00")

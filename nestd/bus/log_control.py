# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.freedesktop.LogControl1, which `systemctl service-log-level nestd debug` uses."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import ClassVar, Protocol

from nestd.bus import arguments
from nestd.bus.authorization import Action, Authorizer
from nestd.bus.declared import DeclaredInterface
from nestd.core.journal_events import NOTICE, Event, about
from nestd.dbus.errors import INVALID_ARGS, BusError
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.dbus.values import Call
from nestd.formats.api import log_control

_log = logging.getLogger(__name__)


class LogControl(Protocol):
    """The log of this process."""

    @property
    def identifier(self) -> str:
        """The name of the program in the log."""

    @property
    def level(self) -> str:
        """The lowest level that is logged, by its name in syslog(3)."""

    @property
    def target(self) -> str:
        """Where log lines go."""

    def levels(self) -> Collection[str]:
        """The words that set_level() accepts."""

    def targets(self) -> Collection[str]:
        """The words that set_target() accepts on this system."""

    def set_level(self, level: str) -> None:
        """Log messages of LEVEL and above."""

    def set_target(self, target: str) -> None:
        """Log to TARGET."""


class LogControlInterface(DeclaredInterface):
    """The log of this process."""

    spec = InterfaceSpec.of(log_control.TABLE)
    settable: ClassVar[Mapping[str, Action]] = {
        "LogLevel": Action.MANAGE,
        "LogTarget": Action.MANAGE,
    }

    def __init__(self, control: LogControl, authorizer: Authorizer) -> None:
        super().__init__(authorizer)
        self._control = control

    def properties(self) -> Mapping[str, object]:
        return {
            "LogLevel": self._control.level,
            "LogTarget": self._control.target,
            "SyslogIdentifier": self._control.identifier,
        }

    async def set_property(self, call: Call, name: str, value: object) -> None:
        if self.properties()[name] == value:
            return
        is_level = name == "LogLevel"
        words = self._control.levels() if is_level else self._control.targets()
        if value not in words:
            raise BusError(INVALID_ARGS, f"{name} is one of {', '.join(words)}.")
        uid = await self.authorize(call, Action.MANAGE, {})
        fields = about(Event.LOG_CONTROLLED, property=name, value=value, caller_uid=uid)
        # Logged before the change: afterwards the log may be off, which would hide who did it.
        _log.log(NOTICE, "User %d sets %s to %s", uid, name, value, extra=fields)
        change = self._control.set_level if is_level else self._control.set_target
        change(arguments.text(value))

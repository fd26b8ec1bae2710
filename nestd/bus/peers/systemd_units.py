# SPDX-License-Identifier: LGPL-2.1-or-later
"""systemd's units of libvirt's daemons, over org.freedesktop.systemd1."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from nestd.core.logs.settings.units import NoServiceManager, UnitError, UnitFacts
from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import SERVICE_UNKNOWN, BusError
from nestd.dbus.values import Signal, Variant

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{_NAME}.Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_READ_SECONDS = 5.0
_RESTART_SECONDS = 120.0
_ENABLED = ("enabled", "enabled-runtime", "linked", "linked-runtime", "alias")
# Signals after which units may have changed.
_HINTS = ("UnitFilesChanged", "Reloading")

log = logging.getLogger(__name__)


class SystemdUnits:
    """Implements nestd.host.libvirt.interface.Units."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._jobs: dict[str, str] = {}  # results of jobs that have ended, by object path
        self._ended = asyncio.Condition()
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, daemon: str) -> UnitFacts:
        """The current facts; UnitFacts() if there is no systemd or no such unit."""
        service = await self._properties(f"{daemon}.service", "")
        if service.get("LoadState") not in ("loaded", "masked"):
            return UnitFacts()
        details = await self._properties(f"{daemon}.service", f"{_NAME}.Service")
        socket = await self._properties(f"{daemon}.socket", "")
        command = _command(details.get("ExecStart", ()))
        return UnitFacts(
            known=True,
            active=_is_active(service) or _is_active(socket),
            listening=_is_active(socket),
            enabled=_is_enabled(service) or _is_enabled(socket),
            environment=dict(each.split("=", 1) for each in details.get("Environment", ())),
            environment_files=tuple(path for path, _ in details.get("EnvironmentFiles", ())),
            program=next(iter(command), ""),
            arguments=tuple(command[1:]),
        )

    async def try_restart(self, daemon: str) -> None:
        """See Units."""
        await self._run("TryRestartUnit", f"{daemon}.service")

    async def start(self, daemon: str) -> None:
        """See Units."""
        await self._run("StartUnit", f"{daemon}.service")

    async def _run(self, method: str, unit: str) -> None:
        """Start a systemd job and wait for its end. Raises NoServiceManager, UnitError."""
        self._waiting += 1
        try:
            [job] = await self._call(method, "ss", unit, "replace")
            result = await asyncio.wait_for(self._result(str(job)), _RESTART_SECONDS)
        except BusError as error:
            if error.name == SERVICE_UNKNOWN:
                raise NoServiceManager from error
            raise UnitError(f"systemd does not start {unit}: {error.text}") from error
        except asyncio.TimeoutError:
            raise UnitError(f"{unit} is not up after {_RESTART_SECONDS:g} s.") from None
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._jobs.clear()
        if result != "done":
            raise UnitError(f"{unit} could not be started: systemd says {result}.")

    def listen(self, callback: Callable[[], None]) -> None:
        """Call CALLBACK whenever units may have been enabled, disabled or reloaded."""
        task = asyncio.ensure_future(self._listen(callback))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, callback: Callable[[], None]) -> None:
        rule = f"type='signal',sender='{_NAME}',path='{_PATH}',interface='{_MANAGER}'"
        try:
            for member in _HINTS:
                await self._connection.subscribe(
                    f"{rule},member='{member}'", lambda signal: callback()
                )
            await self._connection.subscribe(f"{rule},member='JobRemoved'", self._on_job)
            await self._call("Subscribe", "")
        except BusError as error:
            log.debug("systemd's units are not watched: %s", error)

    def _on_job(self, signal: Signal) -> None:
        if self._waiting:
            self._jobs[str(signal.args[1])] = str(signal.args[3])
            task = asyncio.ensure_future(self._notify())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._ended:
            self._ended.notify_all()

    async def _result(self, job: str) -> str:
        async with self._ended:
            await self._ended.wait_for(lambda: job in self._jobs)
        return self._jobs[job]

    async def _properties(self, unit: str, interface: str) -> Mapping[str, Any]:
        """All properties of a unit; reading them loads the unit but does not start it."""
        try:
            [path] = await self._call("LoadUnit", "s", unit)
            [found] = await self._connection.call(
                *(_NAME, str(path), _PROPERTIES, "GetAll", "s"),
                [interface or f"{_NAME}.Unit"],
                timeout=_READ_SECONDS,
            )
        except BusError as error:
            log.debug("%s is not known: %s", unit, error)
            return {}
        assert isinstance(found, dict)
        return {
            key: value.value if isinstance(value, Variant) else value
            for key, value in found.items()
        }

    async def _call(self, member: str, signature: str, *args: object) -> tuple[object, ...]:
        return await self._connection.call(
            _NAME, _PATH, _MANAGER, member, signature, args, timeout=_READ_SECONDS
        )


def _is_active(unit: Mapping[str, Any]) -> bool:
    return unit.get("ActiveState") in ("active", "activating", "reloading")


def _is_enabled(unit: Mapping[str, Any]) -> bool:
    return unit.get("UnitFileState") in _ENABLED


def _command(commands: Any) -> tuple[str, ...]:
    """The program and arguments in ExecStart=, a(sasbttttuii)."""
    for program, words, *_ in commands:
        return (str(program), *words[1:])
    return ()

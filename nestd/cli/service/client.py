# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd as a client sees it: the calls of org.nestd1 with plain values, and its signals.

The only file of nestctl that knows the connection. Every failure is a CliError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from nestd.cli.service import values
from nestd.cli.service.errors import BUSY, INHIBITED, CliError, explain, no_bus
from nestd.cli.service.values import Blocker, Finding, Host, Job, LogDaemon, Machine, Module, Plan
from nestd.dbus.connection.transport import BUS, Connection
from nestd.dbus.connection.wire import BusError, Signal, Variant
from nestd.formats.api.names import BUS_NAME, MANAGER, MANAGER_PATH, module_path

_MODULE = "org.nestd1.Module"
_JOB = "org.nestd1.Job"
_LOG_DAEMON = "org.nestd1.LogDaemon"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"

READ_SECONDS = 60.0
# A person looks for a password, then a reload retries and verifies: nestd has limits of its own.
CHANGE_SECONDS = 900.0

_BLOCKED = (BUSY, INHIBITED)


class Blocked(CliError):
    """Something uses the module, and nothing was changed."""


class Client:
    """Use connect(). Changes carry the leave to ask the user for a password."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, address: str | None) -> Client:
        """Connect to the bus at ADDRESS, None for the system bus."""
        try:
            return cls(await Connection.connect(address, take_descriptors=True))
        except (OSError, ValueError) as error:
            raise no_bus(error) from error

    def close(self) -> None:
        """Leave the bus."""
        self._connection.close()

    # Reading

    async def is_running(self) -> bool:
        """Whether somebody owns nestd's name."""
        try:
            [owned] = await self._connection.call(
                BUS, "/org/freedesktop/DBus", BUS, "NameHasOwner", "s", [BUS_NAME]
            )
        except BusError as error:
            raise explain(error) from error
        return bool(owned)

    async def host(self) -> Host:
        """The whole state."""
        manager = await self._read(MANAGER_PATH, _PROPERTIES, "GetAll", "s", MANAGER)
        objects = await self._read(MANAGER_PATH, _OBJECTS, "GetManagedObjects")
        machines = await self._read(MANAGER_PATH, MANAGER, "ListMachines")
        inhibitors = await self._read(MANAGER_PATH, MANAGER, "ListInhibitors")
        return values.host(manager, objects, machines, inhibitors)

    async def machines(self) -> list[Machine]:
        """Virtual machines that run."""
        found = await self._read(MANAGER_PATH, MANAGER, "ListMachines")
        return sorted((Machine(*each) for each in found), key=lambda one: one.name)

    async def module(self, name: str) -> Module:
        """One module; a name that is not there is nestd's to refuse."""
        path = await self._read(MANAGER_PATH, MANAGER, "GetModule", "s", name)
        return values.module(await self._read(path, _PROPERTIES, "GetAll", "s", _MODULE))

    async def blockers(self, module: str) -> tuple[Blocker, ...]:
        """What keeps a module from being reloaded."""
        return values.blockers(await self._read(module_path(module), _MODULE, "ListBlockers"))

    async def can_reload(self, module: str) -> str:
        """ "yes", "no", "challenge", "blocked" or "na"."""
        return str(await self._read(module_path(module), _MODULE, "CanReload"))

    async def plan(self, module: str, parameters: Mapping[str, str], when: str) -> Plan:
        """What a change would do."""
        given = await self._read(
            module_path(module), _MODULE, "Plan", "a{ss}s", dict(parameters), when
        )
        return values.plan(given)

    async def job(self, number: int) -> Job:
        """One job; it is there for some seconds after its end."""
        path = await self._read(MANAGER_PATH, MANAGER, "GetJob", "u", number)
        return values.job(await self._read(path, _PROPERTIES, "GetAll", "s", _JOB))

    async def validate(self) -> list[Finding]:
        """Whether the host is fit for nested virtualization."""
        return [Finding(*each) for each in await self._read(MANAGER_PATH, MANAGER, "Validate")]

    async def check_guest(self, xml: str) -> tuple[bool, list[Finding]]:
        """Whether the guest with this domain XML can be a hypervisor here."""
        ready, findings = await self._call(
            MANAGER_PATH, MANAGER, "CheckGuest", "s", [xml], timeout=READ_SECONDS
        )
        return bool(ready), [Finding(*each) for each in findings]

    async def describe(self) -> str:
        """Everything, as one JSON document."""
        return str(await self._read(MANAGER_PATH, MANAGER, "Describe"))

    # Changing

    async def set_nested(
        self, module: str, enabled: bool, when: str, options: Mapping[str, Variant]
    ) -> int:
        """The number of the job, 0 where no reload was needed. Raises Blocked."""
        return await self._change(module, "SetNested", "bsa{sv}", enabled, when, dict(options))

    async def set_parameters(
        self, module: str, parameters: Mapping[str, str], when: str, options: Mapping[str, Variant]
    ) -> int:
        """As set_nested()."""
        arguments = (dict(parameters), when, dict(options))
        return await self._change(module, "SetParameters", "a{ss}sa{sv}", *arguments)

    async def reload(self, module: str, when: str) -> int:
        """As set_nested()."""
        return await self._change(module, "Reload", "sa{sv}", when, {})

    async def cancel(self, number: int) -> None:
        """Give up a waiting job."""
        path = await self._read(MANAGER_PATH, MANAGER, "GetJob", "u", number)
        await self._call(path, _JOB, "Cancel", interactive=True)

    async def inhibit(self, who: str, why: str) -> int:
        """A descriptor: no module is reloaded while it is open."""
        [guard] = await self._call(
            *(MANAGER_PATH, MANAGER, "Inhibit", "ss", [who, why]),
            interactive=True,
            take_descriptor=True,
        )
        return int(guard)

    # libvirt's logs

    async def log_daemon(self, name: str) -> LogDaemon:
        """One libvirt daemon."""
        path = await self._read(MANAGER_PATH, MANAGER, "GetLogDaemon", "s", name)
        return values.log_daemon(await self._read(path, _PROPERTIES, "GetAll", "s", _LOG_DAEMON))

    async def running_filters(self, daemon: str) -> tuple[str, str]:
        """Filters and outputs that the daemon uses now."""
        filters, outputs = await self._log(daemon, "GetRunning")
        return str(filters), str(outputs)

    async def check_filters(self, daemon: str, filters: str, outputs: str) -> tuple[str, list[str]]:
        """Filters in their canonical form, and warnings."""
        canonical, warnings = await self._log(daemon, "CheckFilters", "ss", filters, outputs)
        return str(canonical), list(warnings)

    async def set_filters(
        self, daemon: str, filters: str, when: str, options: Mapping[str, Variant]
    ) -> None:
        """Change what a daemon logs."""
        await self._log(daemon, "SetFilters", "ssa{sv}", filters, when, dict(options))

    async def plan_filters(self, daemon: str, filters: str, options: Mapping[str, Variant]) -> Plan:
        """What would be written."""
        [given] = await self._log(daemon, "Plan", "sa{sv}", filters, dict(options))
        return values.plan(given)

    async def start_debug(
        self, daemon: str, filters: str, seconds: int, options: Mapping[str, Variant]
    ) -> None:
        """Begin a debug session."""
        await self._log(daemon, "StartDebug", "sua{sv}", filters, seconds, dict(options))

    async def stop_debug(self, daemon: str) -> None:
        """End a debug session, with the former settings restored."""
        await self._log(daemon, "StopDebug")

    async def collect_logs(self, options: Mapping[str, Variant]) -> int:
        """A descriptor to read a .tar.gz from."""
        [archive] = await self._call(
            *(MANAGER_PATH, MANAGER, "CollectLogs", "a{sv}", [dict(options)]),
            interactive=True,
            take_descriptor=True,
        )
        return int(archive)

    # Signals

    async def on_signal(self, callback: Callable[[Signal], None]) -> None:
        """Have all signals of nestd handed on."""
        await self._subscribe(f"type='signal',sender='{BUS_NAME}'", callback)

    async def on_owner(self, callback: Callable[[bool], None]) -> None:
        """Be told when nestd comes and goes."""
        rule = f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{BUS_NAME}'"
        await self._subscribe(rule, lambda signal: callback(bool(signal.args[2])))

    async def closed(self) -> None:
        """Wait until the bus is gone, which is a CliError."""
        try:
            await self._connection.closed()
        except BusError as error:
            raise explain(error) from error

    async def _subscribe(self, rule: str, callback: Callable[[Signal], None]) -> None:
        try:
            await self._connection.subscribe(rule, callback)
        except BusError as error:
            raise explain(error) from error

    # Calls

    async def _read(
        self, path: str, interface: str, member: str, signature: str = "", *arguments: object
    ) -> Any:
        [value] = await self._call(
            path, interface, member, signature, arguments, timeout=READ_SECONDS
        )
        return value

    async def _log(
        self, daemon: str, member: str, signature: str = "", *arguments: object
    ) -> tuple[Any, ...]:
        path = await self._read(MANAGER_PATH, MANAGER, "GetLogDaemon", "s", daemon)
        return await self._call(path, _LOG_DAEMON, member, signature, arguments, interactive=True)

    async def _change(self, module: str, member: str, signature: str, *arguments: object) -> int:
        [job] = await self._call(
            module_path(module), _MODULE, member, signature, arguments, interactive=True
        )
        return int(values.last_name(job) or 0)

    async def _call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        arguments: Sequence[object] = (),
        *,
        timeout: float = CHANGE_SECONDS,
        interactive: bool = False,
        take_descriptor: bool = False,
    ) -> tuple[Any, ...]:
        try:
            return await self._connection.call(
                BUS_NAME,
                path,
                interface,
                member,
                signature,
                arguments,
                timeout=timeout,
                interactive=interactive,
                take_descriptor=take_descriptor,
            )
        except BusError as error:
            told = explain(error)
            if error.name in _BLOCKED:
                raise Blocked(told.text, told.hint, told.code) from error
            raise told from error

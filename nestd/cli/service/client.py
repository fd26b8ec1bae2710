# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client of nestd: the calls of org.nestd1 with plain values, and its signals.

The argument types of a call come from the tables in formats.api. No other file of nestctl uses the
connection. Every failure is a CliError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from nestd.cli.service import values
from nestd.cli.service.errors import BUSY, INHIBITED, UNKNOWN_MEMBER, CliError, explain, no_bus
from nestd.cli.service.values import (
    Blocker,
    Entry,
    Finding,
    Guest,
    Host,
    Job,
    LogDaemon,
    Machine,
    Module,
    Plan,
)
from nestd.dbus.connection.transport import BUS, Connection
from nestd.dbus.errors import BusError
from nestd.dbus.values import Signal, Variant
from nestd.formats.api import job, log_daemon, manager, module
from nestd.formats.api.names import BUS_NAME, MANAGER_PATH, module_path
from nestd.formats.api.table import InterfaceTable

_PROPERTIES = "org.freedesktop.DBus.Properties"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"

READ_SECONDS = 60.0
# Long enough to find a password and for a reload's retries; nestd has its own limits.
CHANGE_SECONDS = 900.0

_BLOCKED = (BUSY, INHIBITED)
Options = Mapping[str, Variant]


class Blocked(CliError):
    """Something uses the module; nothing was changed."""


class Client:
    """Create with connect(). Calls that change something allow polkit to ask for a password."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, address: str | None) -> Client:
        """Connect to the bus at ADDRESS; None is the system bus."""
        try:
            return cls(await Connection.connect(address, take_descriptors=True))
        except (OSError, ValueError) as error:
            raise no_bus(error) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # Reading

    async def is_running(self) -> bool:
        """Whether nestd's bus name has an owner."""
        path = "/org/freedesktop/DBus"
        [owned] = await self._send(path, BUS, "NameHasOwner", "s", BUS_NAME, destination=BUS)
        return bool(owned)

    async def host(self) -> Host:
        """The state of the whole host."""
        properties = await self._properties(MANAGER_PATH, manager.TABLE)
        [objects] = await self._send(MANAGER_PATH, _OBJECTS, "GetManagedObjects")
        machines = await self._manager("ListMachines")
        inhibitors = await self._manager("ListInhibitors")
        return values.host(properties, objects, machines, inhibitors)

    async def machines(self) -> list[Machine]:
        """The running virtual machines."""
        found = await self._manager("ListMachines")
        return sorted((Machine(*each) for each in found), key=lambda one: one.name)

    async def guests(self) -> list[Guest]:
        """The running virtual machines with their nesting."""
        try:
            found = await self._manager("ListGuests")
        except CliError as error:
            if error.name != UNKNOWN_MEMBER:
                raise
            return [Guest(*each) for each in await self.machines()]
        guests = [values.from_keys(Guest, each) for each in found]
        return sorted(guests, key=lambda one: one.name)

    async def module(self, name: str) -> Module:
        """One module; nestd refuses an unknown name."""
        path = await self._manager("GetModule", name)
        return values.from_properties(Module, await self._properties(path, module.TABLE))

    async def blockers(self, name: str) -> tuple[Blocker, ...]:
        """What blocks a reload of a module."""
        return values.blockers(await self._module(name, "ListBlockers"))

    async def plan(self, name: str, parameters: Mapping[str, str], when: str) -> Plan:
        """What a change would do."""
        return values.from_keys(Plan, await self._module(name, "Plan", dict(parameters), when))

    async def job(self, number: int) -> Job:
        """One job; it exists for some seconds after its end."""
        path = await self._manager("GetJob", number)
        return values.from_properties(Job, await self._properties(path, job.TABLE))

    async def validate(self) -> list[Finding]:
        """Whether the host is fit for nested virtualization."""
        return [Finding(*each) for each in await self._manager("Validate")]

    async def posture(self) -> list[Finding]:
        """The risks of nesting on this host."""
        return [Finding(*each) for each in await self._manager("Posture")]

    async def check_guest(self, xml: str) -> tuple[bool, list[Finding]]:
        """Whether the guest with this domain XML can be a hypervisor on this host, and why."""
        ready, findings = await self._call(MANAGER_PATH, manager.TABLE, "CheckGuest", xml)
        return bool(ready), [Finding(*each) for each in findings]

    async def history(self) -> list[Entry]:
        """The latest changes and reloads, newest first."""
        return [values.from_keys(Entry, each) for each in await self._manager("ListHistory")]

    async def describe(self) -> str:
        """Everything, as one JSON document."""
        return str(await self._manager("Describe"))

    # Changing

    async def set_nested(self, name: str, enabled: bool, when: str, options: Options) -> int:
        """Returns the number of the job, 0 if no reload was needed. Raises Blocked."""
        return await self._change(name, "SetNested", enabled, when, dict(options))

    async def set_parameters(
        self, name: str, parameters: Mapping[str, str], when: str, options: Options
    ) -> int:
        """As set_nested()."""
        return await self._change(name, "SetParameters", dict(parameters), when, dict(options))

    async def reload(self, name: str, when: str) -> int:
        """As set_nested()."""
        return await self._change(name, "Reload", when, {})

    async def unload(self, name: str, when: str) -> int:
        """As set_nested()."""
        return await self._change(name, "Unload", when, {})

    async def load(self, name: str) -> None:
        """Load a module."""
        await self._call(module_path(name), module.TABLE, "Load", {}, change=True)

    async def cancel(self, number: int) -> None:
        """Cancel a waiting job."""
        path = await self._manager("GetJob", number)
        await self._call(path, job.TABLE, "Cancel", change=True)

    async def inhibit(self, who: str, why: str) -> int:
        """Returns a descriptor that blocks reloads of modules while it is open."""
        return await self._descriptor("Inhibit", who, why)

    # libvirt's logs

    async def log_daemon(self, name: str) -> LogDaemon:
        """One libvirt daemon."""
        path = await self._manager("GetLogDaemon", name)
        properties = await self._properties(path, log_daemon.TABLE)
        return values.from_properties(LogDaemon, properties)

    async def running_filters(self, daemon: str) -> tuple[str, str]:
        """The filters and outputs that the daemon uses now."""
        filters, outputs = await self._log(daemon, "GetRunning")
        return str(filters), str(outputs)

    async def check_filters(self, daemon: str, filters: str, outputs: str) -> tuple[str, list[str]]:
        """The filters in canonical form, and warnings."""
        canonical, warnings = await self._log(daemon, "CheckFilters", filters, outputs)
        return str(canonical), list(warnings)

    async def set_filters(self, daemon: str, filters: str, when: str, options: Options) -> None:
        """Change what a daemon logs."""
        await self._log(daemon, "SetFilters", filters, when, dict(options))

    async def plan_filters(self, daemon: str, filters: str, options: Options) -> Plan:
        """What set_filters() would write."""
        [given] = await self._log(daemon, "Plan", filters, dict(options))
        return values.from_keys(Plan, given)

    async def start_debug(self, daemon: str, filters: str, seconds: int, options: Options) -> None:
        """Start a debug session of SECONDS."""
        await self._log(daemon, "StartDebug", filters, seconds, dict(options))

    async def stop_debug(self, daemon: str) -> None:
        """End a debug session and restore the settings."""
        await self._log(daemon, "StopDebug")

    async def collect_logs(self, options: Options) -> int:
        """Returns a descriptor from which to read a .tar.gz."""
        return await self._descriptor("CollectLogs", dict(options))

    # Signals

    async def on_signal(self, callback: Callable[[Signal], None]) -> None:
        """Call CALLBACK with every signal of nestd."""
        await self._subscribe(f"type='signal',sender='{BUS_NAME}'", callback)

    async def on_owner(self, callback: Callable[[bool], None]) -> None:
        """Call CALLBACK with True when nestd starts and with False when it ends."""
        rule = f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{BUS_NAME}'"
        await self._subscribe(rule, lambda signal: callback(bool(signal.args[2])))

    async def closed(self) -> None:
        """Wait until the bus is gone, then raise CliError."""
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

    async def _properties(self, path: str, table: InterfaceTable) -> Mapping[str, Variant]:
        [properties] = await self._send(path, _PROPERTIES, "GetAll", "s", table.name)
        found: Mapping[str, Variant] = properties
        return found

    async def _manager(self, member: str, *arguments: object) -> Any:
        [value] = await self._call(MANAGER_PATH, manager.TABLE, member, *arguments)
        return value

    async def _module(self, name: str, member: str, *arguments: object) -> Any:
        [value] = await self._call(module_path(name), module.TABLE, member, *arguments)
        return value

    async def _log(self, daemon: str, member: str, *arguments: object) -> tuple[Any, ...]:
        path = await self._manager("GetLogDaemon", daemon)
        return await self._call(path, log_daemon.TABLE, member, *arguments, change=True)

    async def _change(self, name: str, member: str, *arguments: object) -> int:
        path = module_path(name)
        [found] = await self._call(path, module.TABLE, member, *arguments, change=True)
        return int(values.last_name(found) or 0)

    async def _descriptor(self, member: str, *arguments: object) -> int:
        types = _types(manager.TABLE, member)
        [descriptor] = await self._send(
            MANAGER_PATH,
            manager.TABLE.name,
            member,
            types,
            *arguments,
            interactive=True,
            take_descriptor=True,
            timeout=CHANGE_SECONDS,
        )
        return int(descriptor)

    async def _call(
        self,
        path: str,
        table: InterfaceTable,
        member: str,
        *arguments: object,
        change: bool = False,
    ) -> tuple[Any, ...]:
        seconds = CHANGE_SECONDS if change else READ_SECONDS
        types = _types(table, member)
        return await self._send(
            path, table.name, member, types, *arguments, interactive=change, timeout=seconds
        )

    async def _send(
        self,
        path: str,
        interface: str,
        member: str,
        types: str = "",
        *arguments: object,
        destination: str = BUS_NAME,
        timeout: float = READ_SECONDS,
        interactive: bool = False,
        take_descriptor: bool = False,
    ) -> tuple[Any, ...]:
        try:
            return await self._connection.call(
                *(destination, path, interface, member, types, arguments),
                timeout=timeout,
                interactive=interactive,
                take_descriptor=take_descriptor,
            )
        except BusError as error:
            known = explain(error)
            if error.name in _BLOCKED:
                raise Blocked(known.text, known.hint, known.code, known.name) from error
            raise known from error


def _types(table: InterfaceTable, member: str) -> str:
    """The types of a method's arguments. Raises CliError if this version has no such method."""
    if member not in table.methods:
        raise CliError(f"This version of nestctl cannot do {member}.", name=UNKNOWN_MEMBER)
    return "".join(type_ for _, type_ in table.methods[member].takes)

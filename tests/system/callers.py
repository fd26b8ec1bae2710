# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of nestd, and whether they are authorized."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Sequence

from private_bus import PrivateBus
from running_nestd import BUS_NAME, MANAGER, MODULE, PROPERTIES, ROOT
from users import acting_as

from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.dbus.values import Variant

INTEL = f"{ROOT}/module/kvm_intel"
LOG_CONTROL = "/org/freedesktop/LogControl1"
ERROR = "org.freedesktop.DBus.Error."
DONE = ""
DENIED = ERROR + "AccessDenied"
CHALLENGED = ERROR + "InteractiveAuthorizationRequired"


class User:
    """Calls of one client; each returns the name of an error, or DONE."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def ask(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *args: object,
        interactive: bool = False,
    ) -> str:
        return await _outcome(
            self.connection.call(
                BUS_NAME, path, interface, member, signature, args, interactive=interactive
            )
        )

    async def set_nested(
        self, enabled: bool, when: str = "now", *, interactive: bool = False
    ) -> str:
        args = (enabled, when, {})
        return await self.ask(INTEL, MODULE, "SetNested", "bsa{sv}", *args, interactive=interactive)

    async def reload(self) -> str:
        return await self.ask(INTEL, MODULE, "Reload", "sa{sv}", "now", {})

    async def inhibit(self) -> str:
        args = ("backup", "it runs")
        call = self.connection.call(
            BUS_NAME, ROOT, MANAGER, "Inhibit", "ss", args, take_descriptor=True
        )
        return await _outcome(call)

    async def set_log_level(self, level: str) -> str:
        args = ("org.freedesktop.LogControl1", "LogLevel", Variant("s", level))
        return await self.ask(LOG_CONTROL, PROPERTIES, "Set", "ssv", *args)


@contextlib.asynccontextmanager
async def user(bus: PrivateBus, uid: int) -> AsyncIterator[User]:
    with acting_as(uid):
        connection = await Connection.connect(bus.address, take_descriptors=True)
    try:
        yield User(connection)
    finally:
        connection.close()


async def _outcome(call: Awaitable[Sequence[object]]) -> str:
    try:
        [*answers] = await call
    except BusError as error:
        return error.name
    for descriptor in answers:
        if type(descriptor) is int:  # and not a bool
            os.close(descriptor)
    return DONE

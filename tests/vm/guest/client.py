# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of nestd on the guest's system bus; it records the arrival time of each signal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.dbus.values import Signal, Variant

NAME = "org.nestd1"
ROOT = "/org/nestd1"
MANAGER, MODULE, JOB = f"{NAME}.Manager", f"{NAME}.Module", f"{NAME}.Job"
PROPERTIES = "org.freedesktop.DBus.Properties"
SECONDS = 60.0


@dataclass
class Client:
    """Every call has a generous limit: this machine is emulated."""

    connection: Connection
    signals: list[tuple[float, Signal]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *args: object
    ) -> Any:
        answer = await self.connection.call(
            NAME, path, interface, member, signature, args, timeout=SECONDS
        )
        return answer[0] if len(answer) == 1 else answer

    async def take_descriptor(
        self, path: str, interface: str, member: str, signature: str = "", *args: object
    ) -> int:
        """A call that returns a file descriptor, which the caller must close."""
        [descriptor] = await self.connection.call(
            NAME, path, interface, member, signature, args, timeout=SECONDS, take_descriptor=True
        )
        assert isinstance(descriptor, int)
        return descriptor

    async def get(self, path: str, interface: str, name: str) -> Any:
        return (await self.call(path, PROPERTIES, "Get", "ss", interface, name)).value

    async def module(self, name: str, prop: str) -> Any:
        return await self.get(f"{ROOT}/module/{name}", MODULE, prop)

    async def set_parameters(self, module: str, when: str, **parameters: str) -> Any:
        path = f"{ROOT}/module/{module}"
        return await self.call(path, MODULE, "SetParameters", "a{ss}sa{sv}", parameters, when, {})

    async def set_nested(self, module: str, enabled: bool, when: str) -> Any:
        path = f"{ROOT}/module/{module}"
        return await self.call(path, MODULE, "SetNested", "bsa{sv}", enabled, when, {})

    async def blockers(self, module: str) -> Any:
        return await self.call(f"{ROOT}/module/{module}", MODULE, "ListBlockers")

    async def changed(self, path: str, name: str, value: object) -> float:
        """When PropertiesChanged announced that NAME is VALUE (CLOCK_MONOTONIC seconds)."""

        def tells(signal: Signal) -> bool:
            if signal.member != "PropertiesChanged" or signal.path != path:
                return False
            changed: Any = signal.args[1]
            return name in changed and changed[name].value == value

        return await self._when(tells)

    async def becomes(self, path: str, interface: str, name: str, value: object) -> None:
        """Wait until the property NAME is VALUE; it may be already."""
        deadline = time.monotonic() + SECONDS
        while await self.get(path, interface, name) != value:
            assert time.monotonic() < deadline, f"{name} does not become {value!r}"
            await asyncio.sleep(0.1)

    async def ended(self, job: str) -> tuple[float, str]:
        """When and how the job ended."""
        found: list[str] = []

        def tells(signal: Signal) -> bool:
            if signal.member == "JobRemoved" and signal.args[1] == job:
                found.append(str(signal.args[2]))
                return True
            return False

        return await self._when(tells), found[0]

    async def _when(self, tells: Callable[[Signal], bool]) -> float:
        deadline = time.monotonic() + SECONDS
        while True:
            for when, signal in self.signals:
                if tells(signal):
                    return when
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), deadline - time.monotonic())


def run(test: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
    """Run TEST with a client that has just subscribed to all signals."""

    async def body() -> None:
        async with _client() as client:
            await test(client)

    asyncio.run(body())


@asynccontextmanager
async def _client() -> AsyncIterator[Client]:
    connection = await Connection.connect(take_descriptors=True)
    client = Client(connection)

    def take(signal: Signal) -> None:
        client.signals.append((time.monotonic(), signal))
        client.news.set()

    await connection.subscribe(f"type='signal',sender='{NAME}'", take)
    try:
        yield client
    finally:
        connection.close()


async def refused(call: Coroutine[Any, Any, Any]) -> BusError:
    """The error that CALL raises."""
    try:
        answer = await call
    except BusError as error:
        return error
    raise AssertionError(f"answered with {answer!r}")


__all__ = ["JOB", "MANAGER", "MODULE", "PROPERTIES", "ROOT", "Client", "Variant", "refused", "run"]

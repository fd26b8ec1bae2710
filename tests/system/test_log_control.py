# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.freedesktop.LogControl1, which `systemctl service-log-level nestd` uses."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable

import pytest
from callers import DENIED, LOG_CONTROL, User, user
from private_bus import PrivateBus
from running_nestd import BUS_NAME, PROPERTIES, Client, Nestd, client_of
from users import nobody

from nestd.dbus.errors import BusError
from nestd.dbus.values import Variant

INTERFACE = "org.freedesktop.LogControl1"


def run(nestd: Nestd, test: Callable[[Client], Awaitable[None]]) -> None:
    async def body() -> None:
        async with client_of(nestd) as client:
            await test(client)

    asyncio.run(body())


async def put(client: Client, name: str, value: str) -> None:
    await client.call(LOG_CONTROL, PROPERTIES, "Set", "ssv", INTERFACE, name, Variant("s", value))


async def get(client: Client, name: str) -> object:
    return await client.get(LOG_CONTROL, INTERFACE, name)


async def make_a_debug_line(client: Client) -> None:
    """Cause an error reply, which is logged at the level debug."""
    with pytest.raises(BusError, match="sometime"):
        await client.set_nested("kvm_intel", True, "sometime")


def test_level(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        assert await get(client, "LogLevel") == "info"
        await make_a_debug_line(client)
        assert "sometime" not in intel.log.read_text()
        for level in ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"):
            await put(client, "LogLevel", level)
            assert await get(client, "LogLevel") == level
        await make_a_debug_line(client)
        assert "DEBUG: " in intel.log.read_text()
        await put(client, "LogLevel", "err")
        before = intel.log.read_text()
        await client.set_nested("kvm_intel", False, "boot")
        assert intel.log.read_text() == before

    run(intel, test)


def test_target(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        assert await get(client, "LogTarget") == "console"
        await put(client, "LogLevel", "debug")
        await put(client, "LogTarget", "null")
        assert await get(client, "LogTarget") == "null"
        before = intel.log.read_text()
        await make_a_debug_line(client)
        assert intel.log.read_text() == before
        await put(client, "LogTarget", "auto")
        assert await get(client, "LogTarget") == "console"
        await make_a_debug_line(client)
        assert intel.log.read_text() != before

    run(intel, test)


@pytest.mark.parametrize(
    ("name", "value"),
    [("LogLevel", "loud"), ("LogLevel", ""), ("LogLevel", "7"), ("LogTarget", "/dev/kmsg")],
)
def test_other_words_are_refused(intel: Nestd, name: str, value: str) -> None:
    async def test(client: Client) -> None:
        with pytest.raises(BusError, match=r"InvalidArgs: .* is one of .*\."):
            await put(client, name, value)

    run(intel, test)


def test_only_root_may_set(bus: PrivateBus, intel: Nestd) -> None:
    async def test() -> None:
        async with user(bus, nobody()) as stranger:
            client = Client(stranger.connection)
            assert await get(client, "SyslogIdentifier") == "nestd"
            assert await get(client, "LogLevel") == "info"
            assert await stranger.set_log_level("debug") == DENIED
            assert await get(client, "LogLevel") == "info"
        async with user(bus, 0) as root:
            assert await User(root.connection).set_log_level("debug") == ""

    asyncio.run(test())


def test_it_looks_as_systemd_describes_it(intel: Nestd) -> None:
    command = ["busctl", f"--address={intel.address}", "introspect", BUS_NAME, LOG_CONTROL]
    shown = subprocess.run([*command, INTERFACE], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in shown.splitlines()[1:]]
    assert rows == [
        [".LogLevel", "property", "s", '"info"', "writable"],
        [".LogTarget", "property", "s", '"console"', "writable"],
        [".SyslogIdentifier", "property", "s", '"nestd"', "-"],
    ]

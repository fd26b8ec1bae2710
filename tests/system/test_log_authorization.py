# SPDX-License-Identifier: LGPL-2.1-or-later
"""Authorization to change libvirt's log settings, with polkit mocked by python-dbusmock.

The daemon is a sleeping process, so an authorized request ends in an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import polkit
import pytest
from callers import DENIED, DONE, User, user
from private_bus import PrivateBus
from running_nestd import ROOT, Nestd
from users import nobody

from nestd.bus.authorization import Action

pytestmark = pytest.mark.needs("python3 -m dbusmock")
LOG_DAEMON = "org.nestd1.LogDaemon"
PATH = f"{ROOT}/log/libvirtd"
UNAVAILABLE = "org.nestd1.Error.DaemonUnavailable"


@pytest.fixture
def nestd(beside_libvirtd: Nestd) -> Nestd:
    return beside_libvirtd


def as_nobody(bus: PrivateBus, test: Callable[[User], Awaitable[None]]) -> None:
    async def body() -> None:
        async with user(bus, nobody()) as stranger:
            await test(stranger)

    asyncio.run(body())


async def set_filters(caller: User, filters: str) -> str:
    return await caller.ask(PATH, LOG_DAEMON, "SetFilters", "ssa{sv}", filters, "start", {})


async def start_debug(caller: User) -> str:
    return await caller.ask(PATH, LOG_DAEMON, "StartDebug", "sua{sv}", "qemu", 60, {})


@pytest.mark.parametrize(
    ("allowed", "configured", "debugged"),
    [
        (None, DENIED, DENIED),
        (Action.CONFIGURE_LOGS, DONE, DENIED),
        (Action.DEBUG_LOGS, DENIED, UNAVAILABLE),
        (Action.CONFIGURE_MODULES, DENIED, DENIED),
    ],
)
def test_each_action_allows_one_thing(
    bus: PrivateBus,
    tmp_path: Path,
    nestd: Nestd,
    allowed: Action | None,
    configured: str,
    debugged: str,
) -> None:
    async def test(stranger: User) -> None:
        assert await set_filters(stranger, "1:qemu") == configured
        assert await start_debug(stranger) == debugged

    with polkit.template(bus.address, tmp_path / "polkit.log"):
        if allowed is not None:
            polkit.busctl(bus.address, polkit.MOCK, "SetAllowed", "as", "1", allowed.value)
        as_nobody(bus, test)
    assert (nestd.root / "etc/libvirt/libvirtd.conf").exists() == (configured == DONE)


def test_what_needs_no_leave(bus: PrivateBus, nestd: Nestd) -> None:
    async def test(stranger: User) -> None:
        assert await set_filters(stranger, "") == DONE  # already set
        assert await stranger.ask(PATH, LOG_DAEMON, "StopDebug") == DONE
        assert await stranger.ask(PATH, LOG_DAEMON, "Plan", "sa{sv}", "1:qemu", {}) == DONE
        assert await stranger.ask(PATH, LOG_DAEMON, "CheckFilters", "ss", "1:qemu", "") == DONE
        assert await stranger.ask(PATH, LOG_DAEMON, "GetRunning") == UNAVAILABLE

    as_nobody(bus, test)


@pytest.mark.usefixtures("nestd")
def test_the_question_names_the_daemon(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(stranger: User) -> None:
        await set_filters(stranger, "1:qemu")

    with polkit.recorder(bus.address, tmp_path / "polkit.log"):
        as_nobody(bus, test)
        calls = polkit.busctl(bus.address, polkit.MOCK, "GetMethodCalls", "s", "CheckAuthorization")
    assert '"org.nestd1.configure-logs" 1 "daemon" "libvirtd"' in calls.replace("a{ss} ", "")

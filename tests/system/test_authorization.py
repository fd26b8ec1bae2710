# SPDX-License-Identifier: LGPL-2.1-or-later
"""Authorization of changes, with polkit mocked by python-dbusmock: allow, deny, hang, vanish."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import polkit
import pytest
from callers import CHALLENGED, DENIED, DONE, ERROR, INTEL, LOG_CONTROL, User, user
from private_bus import PrivateBus
from raw_client import RawClient, array, pad, string
from running_nestd import (
    BUS_NAME,
    MANAGER,
    MODULE,
    PROPERTIES,
    ROOT,
    SIGNAL_SECONDS,
    Client,
    Nestd,
    client_of,
)
from users import acting_as, nobody

from nestd.bus.authorization import MOST_QUESTIONS, QUIET_SECONDS, Action
from nestd.dbus.connection.callers import MAX_CALLS_PER_SENDER
from nestd.dbus.errors import BusError

QUICK = 4.0  # seconds, far below nestd's own limits, for clients that are not affected

pytestmark = pytest.mark.needs("python3 -m dbusmock")


@pytest.fixture
def mock(bus: PrivateBus, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with polkit.template(bus.address, tmp_path / "polkit.log") as process:
        yield process


@pytest.fixture
def recorder(bus: PrivateBus, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with polkit.recorder(bus.address, tmp_path / "polkit.log") as process:
        yield process


def set_mock(bus: PrivateBus, member: str, *arguments: str) -> None:
    polkit.busctl(bus.address, polkit.MOCK, member, *arguments)


def questions(bus: PrivateBus, method: str = "CheckAuthorization") -> str:
    """The calls of METHOD that the recorder received, as busctl prints an a(tav)."""
    calls = polkit.busctl(bus.address, polkit.MOCK, "GetMethodCalls", "s", method)
    return calls.partition("a(tav) ")[2].strip()


def as_nobody(bus: PrivateBus, test: Callable[[User], Awaitable[None]]) -> None:
    async def body() -> None:
        async with user(bus, nobody()) as stranger:
            await test(stranger)

    asyncio.run(body())


def allow(bus: PrivateBus, *actions: Action) -> None:
    names = [action.value for action in actions]
    set_mock(bus, "SetAllowed", "as", str(len(names)), *names)


@pytest.mark.usefixtures("mock")
def test_what_polkit_allows_is_done(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        allow(bus, Action.CONFIGURE_MODULES, Action.RELOAD_MODULES, Action.INHIBIT, Action.MANAGE)
        assert await stranger.set_nested(False) == DONE
        assert b"nested=0" in intel.kvm_conf.read_bytes()
        assert await stranger.reload() == DONE
        assert await stranger.inhibit() == DONE
        assert await stranger.set_log_level("debug") == DONE

    as_nobody(bus, test)


@pytest.mark.usefixtures("mock")
def test_what_polkit_denies_is_not_done(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        before = intel.kvm_conf.read_bytes()
        assert await stranger.set_nested(False) == DENIED
        assert await stranger.set_nested(False, "idle") == DENIED
        assert await stranger.set_nested(False, "boot") == DENIED
        assert await stranger.reload() == DENIED
        assert await stranger.inhibit() == DENIED
        assert await stranger.set_log_level("debug") == DENIED
        assert intel.kvm_conf.read_bytes() == before

    as_nobody(bus, test)


@pytest.mark.usefixtures("mock")
@pytest.mark.parametrize(
    ("allowed", "boot", "now", "reload", "inhibit", "log_level"),
    [
        (Action.CONFIGURE_MODULES, DONE, DENIED, DENIED, DENIED, DENIED),
        (Action.RELOAD_MODULES, DENIED, DONE, DONE, DENIED, DENIED),
        (Action.INHIBIT, DENIED, DENIED, DENIED, DONE, DENIED),
        (Action.MANAGE, DENIED, DENIED, DENIED, DENIED, DONE),
        (Action.COLLECT_LOGS, DENIED, DENIED, DENIED, DENIED, DENIED),
    ],
    ids=["configure-modules", "reload-modules", "inhibit", "manage", "collect-logs"],
)
def test_each_action_allows_one_thing(
    bus: PrivateBus,
    intel: Nestd,
    allowed: Action,
    boot: str,
    now: str,
    reload: str,
    inhibit: str,
    log_level: str,
) -> None:
    async def test(stranger: User) -> None:
        allow(bus, allowed)
        assert await stranger.set_nested(False, "boot") == boot
        assert await stranger.set_nested(False) == now
        assert await stranger.reload() == reload
        assert await stranger.inhibit() == inhibit
        assert await stranger.set_log_level("debug") == log_level

    as_nobody(bus, test)


@pytest.mark.usefixtures("recorder")
def test_a_challenge_is_told(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        polkit.add_method(bus.address, polkit.QUESTION, "ret = (False, True, {})")
        assert await stranger.set_nested(False) == CHALLENGED
        # A prompt is allowed, but there is no agent to show one.
        assert await stranger.set_nested(False, interactive=True) == CHALLENGED
        assert await Client(stranger.connection).call(INTEL, MODULE, "CanReload") == ("challenge",)

    as_nobody(bus, test)


@pytest.mark.usefixtures("recorder")
def test_the_caller_decides_whether_there_may_be_a_prompt(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        for interactive, flag in ((False, "u 0"), (True, "u 1")):
            polkit.busctl(bus.address, polkit.MOCK, "ClearCalls")
            assert await stranger.set_nested(False, interactive=interactive) == DENIED
            asked = questions(bus)
            assert asked.startswith("1 ")
            assert f'"{stranger.connection.unique_name}"' in asked
            assert '"org.nestd1.reload-modules" a{ss} 1 "module" "kvm_intel" ' + flag in asked

    as_nobody(bus, test)


@pytest.mark.usefixtures("mock")
def test_access_is_told_without_a_prompt(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        allow(bus, Action.RELOAD_MODULES)
        client = Client(stranger.connection)
        names = ["reload-modules", "collect-logs", "reload-modules"]
        [access] = await client.call(ROOT, MANAGER, "CheckAccess", "as", names)
        assert access == {"reload-modules": "yes", "collect-logs": "no"}
        assert await client.call(ROOT, MANAGER, "CheckAccess", "as", []) == ({},)
        with pytest.raises(BusError, match='InvalidArgs: "fly" is not one of collect-logs, '):
            await client.call(ROOT, MANAGER, "CheckAccess", "as", ["fly"])

    as_nobody(bus, test)


@pytest.mark.usefixtures("recorder")
def test_no_prompt_without_need(bus: PrivateBus, intel: Nestd) -> None:
    """No prompt for changes without effect, for requests that fail anyway, or for reading."""

    async def test(stranger: User) -> None:
        assert await stranger.set_nested(True, interactive=True) == DENIED
        assert questions(bus) != "0"
        async with client_of(intel) as root:
            await root.set_nested("kvm_intel", True, "now")
        polkit.busctl(bus.address, polkit.MOCK, "ClearCalls")
        assert await stranger.set_nested(True, interactive=True) == DONE
        assert await stranger.set_nested(False, "sometime", interactive=True) == ERROR + (
            "InvalidArgs"
        )
        wrong = {"nosuch": "1"}
        assert (
            await stranger.ask(INTEL, MODULE, "SetParameters", "a{ss}sa{sv}", wrong, "now", {})
            == "org.nestd1.Error.InvalidParameter"
        )
        level = await Client(stranger.connection).get(
            LOG_CONTROL, "org.freedesktop.LogControl1", "LogLevel"
        )
        assert await stranger.set_log_level(str(level)) == DONE
        assert await stranger.set_log_level("loud") == ERROR + "InvalidArgs"
        await read_everything(stranger)
        assert questions(bus) == "0"

    as_nobody(bus, test)


async def read_everything(stranger: User) -> None:
    client = Client(stranger.connection)
    assert await stranger.ask(ROOT, PROPERTIES, "GetAll", "s", MANAGER) == DONE
    assert await stranger.ask(INTEL, PROPERTIES, "GetAll", "s", MODULE) == DONE
    for member in ("Describe", "ListMachines", "ListInhibitors"):
        assert await stranger.ask(ROOT, MANAGER, member) == DONE
    assert await stranger.ask(INTEL, MODULE, "ListBlockers") == DONE
    assert (await client.plan("kvm_intel", {"nested": "0"}, "boot"))["diff"] != ""
    objects = "org.freedesktop.DBus.ObjectManager"
    assert await stranger.ask(ROOT, objects, "GetManagedObjects") == DONE


def test_without_polkit_root_may_change_and_everyone_may_read(
    bus: PrivateBus, intel: Nestd
) -> None:
    async def test(stranger: User) -> None:
        assert await stranger.set_nested(False) == DENIED
        assert await stranger.set_nested(False, "boot", interactive=True) == DENIED
        assert await stranger.inhibit() == DENIED
        assert await stranger.set_log_level("debug") == DENIED
        assert await Client(stranger.connection).call(INTEL, MODULE, "CanReload") == ("no",)
        await read_everything(stranger)
        async with user(bus, 0) as root:
            assert await root.set_nested(False) == DONE
            assert await root.set_log_level("debug") == DONE

    as_nobody(bus, test)


@pytest.mark.usefixtures("mock")
def test_a_polkit_that_hangs_holds_nobody_else_up(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        set_mock(bus, "SimulateHang", "b", "true")
        started = time.monotonic()
        waiting = asyncio.ensure_future(stranger.set_nested(False, "boot"))
        async with user(bus, 0) as root, user(bus, nobody()) as reader:
            await read_everything(reader)
            await read_everything(stranger)
            assert await root.set_nested(False) == DONE
            assert await root.inhibit() == DONE
        assert time.monotonic() - started < QUICK
        assert not waiting.done()
        assert await waiting == DENIED
        assert QUIET_SECONDS <= time.monotonic() - started < QUIET_SECONDS + QUICK

    as_nobody(bus, test)


@pytest.mark.usefixtures("mock")
def test_a_slow_polkit_holds_nobody_else_up(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        set_mock(bus, "SetDelay", "d", "3")
        set_mock(bus, "AllowUnknown", "b", "true")
        waiting = asyncio.ensure_future(stranger.set_nested(False, "boot"))
        started = time.monotonic()
        async with user(bus, nobody()) as reader:
            await read_everything(reader)
        assert time.monotonic() - started < QUICK
        assert await waiting == DONE

    as_nobody(bus, test)


@pytest.mark.usefixtures("mock")
def test_a_large_call_that_waits_for_polkit_holds_no_other_up(
    bus: PrivateBus, intel: Nestd
) -> None:
    async def body() -> None:
        set_mock(bus, "SimulateHang", "b", "true")
        with acting_as(nobody()):
            stranger = RawClient(bus.address)
        entry = pad(string("nested"), 4) + string("0")
        arguments = array(pad(entry, 8) * 1000 + entry, 8)
        arguments = pad(pad(arguments, 4) + string("boot"), 4) + array(b"", 8)
        with stranger:
            stranger.call(BUS_NAME, INTEL, MODULE, "SetParameters", "a{ss}sa{sv}", arguments)
            await asked(bus, 1)
            async with client_of(intel) as other:
                started = time.monotonic()
                await other.call(
                    ROOT, MANAGER, "CheckGuest", "s", f"<domain>{' ' * 20_000}</domain>"
                )
                assert time.monotonic() - started < QUICK

    asyncio.run(body())


def test_a_polkit_that_dies_while_it_is_asked_means_no(
    bus: PrivateBus, intel: Nestd, tmp_path: Path
) -> None:
    async def test(stranger: User) -> None:
        with polkit.template(bus.address, tmp_path / "first.log") as process:
            set_mock(bus, "SimulateHang", "b", "true")
            waiting = asyncio.ensure_future(stranger.set_nested(False, "boot"))
            await asked(bus, 1)
            process.kill()
            assert await asyncio.wait_for(waiting, QUICK) == DENIED
        with polkit.template(bus.address, tmp_path / "second.log"):
            allow(bus, Action.CONFIGURE_MODULES)
            assert await stranger.set_nested(False, "boot") == DONE

    as_nobody(bus, test)


async def asked(bus: PrivateBus, count: int) -> None:
    """Wait until that many requests hang in the mock."""
    polkit.add_method(bus.address, ("Hanging", "", "i"), "ret = len(self.hanging_calls)")
    deadline = time.monotonic() + SIGNAL_SECONDS
    ask = (polkit.busctl, bus.address, polkit.AUTHORITY, "Hanging")
    while await asyncio.to_thread(*ask) != f"i {count}\n":
        assert time.monotonic() < deadline


@pytest.mark.usefixtures("mock")
def test_a_caller_that_leaves_takes_the_prompt_along(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        polkit.add_method(bus.address, polkit.WITHDRAWAL, "")
        set_mock(bus, "SimulateHang", "b", "true")
        rules = match_rules(bus, intel)
        async with user(bus, nobody()) as leaving:
            calls = [
                asyncio.ensure_future(leaving.set_nested(False, interactive=True))
                for _ in range(MAX_CALLS_PER_SENDER)
            ]
            await asked(bus, MAX_CALLS_PER_SENDER)
            assert await leaving.set_nested(False) == ERROR + "LimitsExceeded"
        await asyncio.gather(*calls)
        withdrawn = [""]
        deadline = time.monotonic() + SIGNAL_SECONDS
        while withdrawn[0] != str(MAX_CALLS_PER_SENDER):
            assert time.monotonic() < deadline
            answer = await asyncio.to_thread(questions, bus, "CancelCheckAuthorization")
            withdrawn = answer.split(" ")
        ids = [word for word in withdrawn if word.startswith('"nestd-')]
        assert len(set(ids)) == MAX_CALLS_PER_SENDER
        assert match_rules(bus, intel) == rules
        # Anything left of them would count against the user.
        set_mock(bus, "SimulateHang", "b", "false")
        allow(bus, Action.CONFIGURE_MODULES, Action.RELOAD_MODULES)
        assert await stranger.set_nested(False) == DONE

    as_nobody(bus, test)


def match_rules(bus: PrivateBus, nestd: Nestd) -> str:
    """The number of nestd's match rules on the bus."""
    ask = ["busctl", f"--address={bus.address}", "call", "org.freedesktop.DBus"]
    ask += ["/org/freedesktop/DBus", "org.freedesktop.DBus.Debug.Stats", "GetConnectionStats"]
    answer = subprocess.run([*ask, "s", BUS_NAME], check=True, capture_output=True, text=True)
    return answer.stdout.partition('"MatchRules" ')[2].partition(' "')[0]


@pytest.mark.usefixtures("mock")
def test_one_user_cannot_take_up_all_questions(bus: PrivateBus, intel: Nestd) -> None:
    async def test(stranger: User) -> None:
        set_mock(bus, "SimulateHang", "b", "true")
        async with contextlib.AsyncExitStack() as stack:
            users = [
                await stack.enter_async_context(user(bus, nobody()))
                for _ in range(2 * MOST_QUESTIONS // MAX_CALLS_PER_SENDER)
            ]
            waiting = [
                asyncio.ensure_future(each.set_nested(False, interactive=True))
                for each in users
                for _ in range(MAX_CALLS_PER_SENDER)
            ]
            for answered in asyncio.as_completed(waiting):
                assert await answered == ERROR + "LimitsExceeded"
                if sum(call.done() for call in waiting) == len(waiting) - MOST_QUESTIONS:
                    break
            await read_everything(stranger)
            async with user(bus, 1) as other:
                set_mock(bus, "SimulateHang", "b", "false")
                assert await other.set_nested(False) == DENIED
        await asyncio.gather(*waiting)

    as_nobody(bus, test)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A connection from first to last byte, on buses that refuse, stall, die and come back."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable

import pytest
import toy_service
from private_bus import PrivateBus
from raw_client import (
    CALL,
    DESTINATION,
    FDS,
    INTERFACE,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SIGNAL,
    SIGNATURE,
    RawClient,
    message,
    pad,
    string,
)
from toy_process import service_environment

from nestd.dbus.connection import messages, stream
from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.dbus.values import Call, Route, Signal

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
DISCONNECTED = "org.freedesktop.DBus.Error.Disconnected"


def own_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


async def error_of(awaitable: Awaitable[object]) -> BusError:
    with pytest.raises(BusError) as caught:
        await awaitable
    return caught.value


def test_calls_and_their_errors(shared_bus: PrivateBus) -> None:
    async def main() -> None:
        connection = await Connection.connect(shared_bus.address)
        assert connection.unique_name.startswith(":1.")
        (owner,) = await connection.call(BUS, BUS_PATH, BUS, "GetNameOwner", "s", [BUS])
        assert owner == BUS
        unknown = await error_of(connection.call("no.such.Name", "/", "a.b", "C"))
        assert unknown.name == "org.freedesktop.DBus.Error.ServiceUnknown"
        connection.close()
        await connection.closed()

    asyncio.run(main())


def test_system_bus_is_the_default(shared_bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> str:
        connection = await Connection.connect()
        connection.close()
        return connection.unique_name

    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path=/nonexistent;{shared_bus.address}")
    assert asyncio.run(main()).startswith(":1.")


def test_call_that_is_not_answered_ends_in_time(shared_bus: PrivateBus) -> None:
    async def main() -> None:
        connection = await Connection.connect(shared_bus.address)
        with RawClient(shared_bus.address) as silent:
            late = connection.call(silent.unique_name, "/", "a.b", "C", timeout=0.1)
            assert (await error_of(late)).name == "org.freedesktop.DBus.Error.NoReply"
        connection.close()

    asyncio.run(main())


def test_answer_that_is_too_long_fails_its_call_only(
    shared_bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        connection = await Connection.connect(shared_bus.address)
        getting = connection.call(BUS, BUS_PATH, BUS, "GetNameOwner", "s", [BUS])
        getting = asyncio.ensure_future(getting)
        await asyncio.sleep(0)
        monkeypatch.setattr(messages, "MAX_REPLY", 10)
        assert (await error_of(getting)).name == "org.freedesktop.DBus.Error.LimitsExceeded"
        monkeypatch.undo()
        await connection.call(BUS, BUS_PATH, BUS, "GetNameOwner", "s", [BUS])
        connection.close()

    asyncio.run(main())


def test_descriptors_in_an_answer_are_not_taken(shared_bus: PrivateBus) -> None:
    async def main() -> None:
        connection = await Connection.connect(shared_bus.address)
        with RawClient(shared_bus.address) as peer:
            before = own_fds()
            task = asyncio.ensure_future(connection.call(peer.unique_name, "/", "a.b", "C"))
            await asyncio.sleep(0)
            answer_with_descriptor(peer, connection.unique_name)
            assert "descriptors" in (await error_of(task)).text
            assert own_fds() == before
        connection.close()

    asyncio.run(main())


def answer_with_descriptor(peer: RawClient, destination: str) -> None:
    received = peer.receive()
    while received.kind != CALL:
        received = peer.receive()
    fields: dict[int, str | int] = {REPLY_SERIAL: received.serial, DESTINATION: destination}
    fields.update({SIGNATURE: "h", FDS: 1})
    peer.send(message(RETURN, peer.next_serial(), fields, bytes(4)), [peer.sock.fileno()])


def test_name_that_is_taken(shared_bus: PrivateBus) -> None:
    async def main() -> None:
        one = await Connection.connect(shared_bus.address)
        other = await Connection.connect(shared_bus.address)
        assert await one.request_name("org.example.Mine")
        assert await one.request_name("org.example.Mine")
        assert not await other.request_name("org.example.Mine")
        await one.release_name("org.example.Mine")
        assert await other.request_name("org.example.Mine")
        one.close()
        other.close()

    asyncio.run(main())


def test_service_whose_name_is_taken_says_so(own_bus: PrivateBus) -> None:
    async def main() -> int:
        connection = await Connection.connect(own_bus.address)
        assert await connection.request_name(toy_service.NAME)
        command = [sys.executable, toy_service.__file__, own_bus.address]
        process = await asyncio.create_subprocess_exec(*command, env=service_environment())
        status = await process.wait()
        connection.close()
        return status

    assert asyncio.run(main()) == toy_service.NAME_TAKEN


def test_connections_leave_no_descriptors(shared_bus: PrivateBus) -> None:
    async def main() -> int:
        (await Connection.connect(shared_bus.address)).close()
        before = own_fds()
        for _ in range(50):
            (await Connection.connect(shared_bus.address)).close()
        return own_fds() - before

    gc.disable()
    try:
        assert asyncio.run(main()) == 0
    finally:
        gc.enable()


def test_calls_after_the_bus_has_died_fail_at_once(own_bus: PrivateBus) -> None:
    async def main() -> None:
        connection = await Connection.connect(own_bus.address)
        peer = await Connection.connect(own_bus.address)
        pending = asyncio.ensure_future(connection.call(peer.unique_name, "/", "a.b", "C"))
        await asyncio.sleep(0)
        os.kill(own_bus.pid, signal.SIGKILL)
        assert (await error_of(connection.closed())).name == DISCONNECTED
        started = time.monotonic()
        assert (await error_of(pending)).name == DISCONNECTED
        later = connection.call(BUS, BUS_PATH, BUS, "GetId")
        assert (await error_of(later)).name == DISCONNECTED
        connection.emit("/", "a.b", "C")
        assert time.monotonic() - started < 1
        connection.close()
        peer.close()

    asyncio.run(main())


def test_burst_while_the_bus_is_stopped_is_not_lost(own_bus: PrivateBus) -> None:
    async def main() -> list[object]:
        sender = await Connection.connect(own_bus.address)
        listener = await Connection.connect(own_bus.address)
        numbers: list[object] = []
        all_here = asyncio.Event()

        def take(tick: Signal) -> None:
            numbers.append(tick.args[0])
            if len(numbers) == 3000:
                all_here.set()

        await listener.subscribe("interface='a.b',member='Tick'", take)
        os.kill(own_bus.pid, signal.SIGSTOP)
        for number in range(3000):
            sender.emit("/", "a.b", "Tick", "us", [number, "x" * 1000])
        await asyncio.sleep(0.05)
        os.kill(own_bus.pid, signal.SIGCONT)
        await asyncio.wait_for(all_here.wait(), 20)
        sender.close()
        listener.close()
        return numbers

    assert asyncio.run(main()) == list(range(3000))


def test_bus_that_has_stopped_for_good_is_given_up(
    own_bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> BusError:
        connection = await Connection.connect(own_bus.address)
        monkeypatch.setattr(stream, "MAX_QUEUE", 1 << 20)
        os.kill(own_bus.pid, signal.SIGSTOP)
        before = own_fds()
        for _ in range(3000):
            connection.emit("/", "a.b", "Tick", "s", ["x" * 1000])
        error = await error_of(connection.closed())
        assert own_fds() == before - 1
        return error

    assert asyncio.run(main()).name == DISCONNECTED


def test_answers_that_take_long_take_turns(shared_bus: PrivateBus) -> None:
    async def main() -> int:
        connection = await Connection.connect(shared_bus.address)
        answered = 0

        def answer(call: Call) -> list[object]:
            nonlocal answered
            time.sleep(0.015)
            answered += 1
            return []

        connection.on_call(lambda *names: Route("a.b", "", "", answer, inline=True))
        most = before = 0
        with RawClient(shared_bus.address) as client:
            for _ in range(12):
                client.call(connection.unique_name, "/", "a.b", "C")
            while answered < 12:
                most, before = max(most, answered - before), answered
                await asyncio.sleep(0)
        connection.close()
        return most

    assert asyncio.run(main()) == 1


def test_signals_come_from_whom_they_say(shared_bus: PrivateBus) -> None:
    async def main() -> list[object]:
        listener = await Connection.connect(shared_bus.address)
        source = await Connection.connect(shared_bus.address)
        forger = await Connection.connect(shared_bus.address)
        heard: list[object] = []
        await listener.subscribe(
            "type='signal',sender='org.example.Source',path_namespace='/a',arg0='yes'",
            lambda tick: heard.append(tick.args[1]),
        )
        assert await source.request_name("org.example.Source")
        for connection, word in ((source, "first"), (forger, "forged")):
            connection.emit("/a/b", "a.b", "Tick", "ss", ["yes", word])
            connection.emit("/a/b", "a.b", "Tick", "ss", ["no", "other argument"])
            connection.emit("/b", "a.b", "Tick", "ss", ["yes", "other path"])
        with RawClient(shared_bus.address) as client:
            unicast(client, listener.unique_name)
        await source.release_name("org.example.Source")
        assert await forger.request_name("org.example.Source")
        source.emit("/a", "a.b", "Tick", "ss", ["yes", "no longer the owner"])
        await source.release_name("org.example.Source")
        forger.emit("/a", "a.b", "Tick", "ss", ["yes", "second"])
        await forger.release_name("org.example.Source")
        await listener.call(BUS, BUS_PATH, BUS, "GetId")
        for connection in (listener, source, forger):
            connection.close()
        return heard

    assert asyncio.run(main()) == ["first", "second"]


def unicast(client: RawClient, destination: str) -> None:
    """Send a signal to one connection, which needs no match rule there."""
    fields: dict[int, str | int] = {PATH: "/a", INTERFACE: "a.b", MEMBER: "Tick", SIGNATURE: "ss"}
    fields[DESTINATION] = destination
    body = pad(string("yes"), 4) + string("unicast")
    client.send(message(SIGNAL, client.next_serial(), fields, body))
    client.reply_to(client.call(BUS, BUS_PATH, BUS, "GetId"))


def test_callback_that_fails_does_no_harm(
    shared_bus: PrivateBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        connection = await Connection.connect(shared_bus.address)

        def fail(tick: Signal) -> None:
            raise RuntimeError("broken callback")

        await connection.subscribe("interface='a.b'", fail)
        connection.emit("/", "a.b", "Tick")
        await connection.call(BUS, BUS_PATH, BUS, "GetId")
        await connection.call(BUS, BUS_PATH, BUS, "GetId")
        connection.close()

    asyncio.run(main())
    assert "broken callback" in caplog.text

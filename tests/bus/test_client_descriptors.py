# SPDX-License-Identifier: LGPL-2.1-or-later
"""File descriptors in replies: the client that asks for one gets it, and no one else."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Awaitable
from typing import Callable

import pytest
import toy_service
from raw_client import RawClient, message
from toy_process import Toy

from nestd.dbus import errors
from nestd.dbus.connection.messages import Header
from nestd.dbus.connection.stream import MessageStream
from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError

PEER = "org.freedesktop.DBus.Peer"


def _with_client(
    toy: Toy, use: Callable[[Connection], Awaitable[None]], *, take_descriptors: bool = True
) -> None:
    async def run() -> None:
        client = await Connection.connect(toy.bus.address, take_descriptors=take_descriptors)
        await use(client)
        client.close()

    asyncio.run(run())


async def _open_pipe(client: Connection, *, take_descriptor: bool) -> tuple[object, ...]:
    return await client.call(
        toy_service.NAME,
        toy_service.ROOT,
        toy_service.NAME,
        "OpenPipe",
        take_descriptor=take_descriptor,
    )


def _open_here() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_client_gets_the_descriptor_that_it_asks_for(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        (descriptor,) = await _open_pipe(client, take_descriptor=True)
        assert isinstance(descriptor, int)
        assert not os.get_inheritable(descriptor)
        os.set_blocking(descriptor, True)
        assert os.read(descriptor, 100) == b"through a pipe"
        os.close(descriptor)

    _with_client(toy, use)


def test_a_descriptor_that_nobody_asked_for_is_refused_and_closed(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        before = _open_here()
        for _ in range(3):
            with pytest.raises(BusError, match="carries file descriptors"):
                await _open_pipe(client, take_descriptor=False)
        assert _open_here() == before

    _with_client(toy, use)


def test_a_connection_that_takes_none_never_has_one(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        before = _open_here()
        with pytest.raises(BusError, match="not a file descriptor"):
            await _open_pipe(client, take_descriptor=True)
        assert _open_here() == before

    _with_client(toy, use, take_descriptors=False)


def test_an_answer_without_a_descriptor_and_an_error_are_told_apart(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        at = (toy_service.NAME, toy_service.ROOT, toy_service.NAME)
        with pytest.raises(BusError, match="not a file descriptor"):
            await client.call(*at, "Echo", "s", ["x"], take_descriptor=True)
        with pytest.raises(BusError) as refused:
            await client.call(*at, "NoSuchMethod", take_descriptor=True)
        assert refused.value.name == errors.UNKNOWN_METHOD
        assert await client.call(*at, "Echo", "s", ["still well"]) == ("still well",)

    _with_client(toy, use)


def test_messages_that_cannot_be_read_do_not_end_the_connection(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        before = _open_here()
        with RawClient(toy.bus.address) as stranger:
            for fds in ([], [stranger.sock.fileno()]):
                to = client.unique_name
                stranger.call(to, "/", "a.b", "C", extra={99: "x" * 100_000}, fds=fds)
                stranger.call(to, "/", "a.b", "C", fds=fds)
                stranger.reply_to(stranger.call(toy_service.NAME, "/", PEER, "Ping"))
                await client.call(toy_service.NAME, "/", PEER, "Ping")  # all sent is read by now
                (descriptor,) = await _open_pipe(client, take_descriptor=True)
                assert isinstance(descriptor, int)
                os.close(descriptor)
        assert _open_here() == before

    _with_client(toy, use)


def test_descriptors_go_to_the_message_they_came_with() -> None:
    """Also after an earlier message was dropped with an unknown number of descriptors."""

    def call(extra: dict[int, str | int]) -> bytes:
        return message(1, 1, {1: "/", 3: "M", 9: 1, **extra})

    async def main() -> list[list[str]]:
        here, there = socket.socketpair()
        here.setblocking(False)
        taken: list[list[str]] = []

        def take(header: Header, data: bytes | None) -> None:
            taken.append([_text_of(descriptor) for descriptor in stream.descriptors(header)])

        before = _open_here()
        stream = MessageStream(here, take, pytest.fail, take_descriptors=True)
        for name, extra in (("one", {}), ("unreadable", {99: "x" * 70_000}), ("two", {})):
            _send_pipe(there, name, call(extra))
        while len(taken) < 2:
            await asyncio.sleep(0.01)
        _send_pipe(there, "three", call({}))
        while len(taken) < 3:
            await asyncio.sleep(0.01)
        assert _open_here() == before
        stream.close()
        there.close()
        return taken

    one, two, three = asyncio.run(main())
    assert one == ["one"]
    assert two in (["two"], [])  # received together with the unreadable one, or later
    assert three == ["three"]


def _send_pipe(sock: socket.socket, text: str, data: bytes) -> None:
    """Send a message with a pipe that contains this text."""
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [reader]))
    assert sock.sendmsg([data], [rights]) == len(data)
    os.close(reader)
    os.close(writer)


def _text_of(pipe: int) -> str:
    with open(pipe) as file:
        return file.read()

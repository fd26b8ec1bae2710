# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fake buses: some fail in the handshake, and one does not read."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from raw_client import (
    CALL,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SENDER,
    SIGNATURE,
    message,
    string,
)

from nestd.dbus.connection import messages
from nestd.dbus.connection.transport import Connection
from nestd.dbus.values import Call, Route

BUS = "org.freedesktop.DBus"


def own_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([], ConnectionError),
        ([b"OK 1234\r\n"], ConnectionError),
        ([b"REJECTED EXTERNAL\r\n"], ConnectionError),
        ([b"x" * 100_000], ConnectionError),
        ([b"\xff\xfe\r\n"], ConnectionError),
        ([b"OK 1234\r\n", b"AGREE_UNIX_FD\r\n"], ConnectionError),
        ([b"OK 1234\r\n", b"AGREE_UNIX_FD\r\n", b"no D-Bus message at all"], ConnectionError),
        (None, TimeoutError),
    ],
)
def test_bus_that_fails_in_the_handshake(
    tmp_path: Path, answers: list[bytes] | None, error: type[Exception]
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers or []:
            await reader.read(1000)
            writer.write(answer)
        if answers is None:
            await reader.read(-1)
        await reader.read(1000)
        writer.close()

    async def main() -> float:
        server = await asyncio.start_unix_server(serve, str(tmp_path / "socket"))
        before = own_fds()
        started = time.process_time()
        with pytest.raises(error):
            await Connection.connect(f"unix:path={tmp_path}/socket", timeout=0.5)
        assert own_fds() <= before + 1
        server.close()
        return time.process_time() - started

    assert asyncio.run(main()) < 0.3


def test_bus_that_is_not_there(tmp_path: Path) -> None:
    before = own_fds()
    with pytest.raises(FileNotFoundError):
        asyncio.run(Connection.connect(f"unix:path={tmp_path}/none"))
    with pytest.raises(ValueError, match="no UNIX socket"):
        asyncio.run(Connection.connect("tcp:host=localhost,port=1"))
    assert own_fds() == before


def test_answers_do_not_outgrow_the_questions(tmp_path: Path) -> None:
    """While a bus sends without reading, the service does not read from it either."""
    total = 3000

    async def big(call: Call) -> list[object]:
        return ["x" * 4000]

    def route(path: str, interface: str, member: str) -> Route:
        return Route("a.b", "", "s", big)

    async def main() -> int:
        bus = DeafBus(total)
        server = await asyncio.start_unix_server(bus.serve, str(tmp_path / "socket"))
        connection = await Connection.connect(f"unix:path={tmp_path}/socket")
        connection.on_call(route)
        bus.send.set()
        await bus.wrote
        for _ in range(1000):
            if connection._stream._paused:
                break
            await asyncio.sleep(0.01)
        queued = connection._stream._queued
        bus.listen.set()
        await asyncio.wait_for(bus.heard, 20)
        connection.close()
        server.close()
        return queued

    queued = asyncio.run(main())
    assert 1 << 20 < queued < (1 << 20) + (1 << 17)


class DeafBus:
    """Completes the handshake, sends many calls, and only then starts to read."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.send = asyncio.Event()
        self.listen = asyncio.Event()
        self.wrote = asyncio.get_running_loop().create_future()
        self.heard = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"OK 1234\r\n", b"AGREE_UNIX_FD\r\n"):
            await reader.readline()
            writer.write(answer)
        await reader.readline()
        for serial, (signature, body) in enumerate((("s", string(":1.1")), ("", b"")), 1):
            await self.receive(reader)
            writer.write(answer_to(serial, signature, body))
        await self.send.wait()
        for serial in range(self.calls):
            writer.write(call_of(serial + 1))
        self.wrote.set_result(None)
        await self.listen.wait()
        answered = 0
        while answered < self.calls:
            answered += await self.receive(reader) == RETURN
        self.heard.set_result(None)

    async def receive(self, reader: asyncio.StreamReader) -> int:
        start = await reader.readexactly(16)
        size = messages.read_size(start)
        await reader.readexactly(size.header + size.body - 16)
        return size.kind


def answer_to(serial: int, signature: str, body: bytes) -> bytes:
    fields: dict[int, str | int] = {REPLY_SERIAL: serial, SENDER: BUS}
    fields.update({SIGNATURE: signature} if signature else {})
    return message(RETURN, serial, fields, body)


def call_of(serial: int) -> bytes:
    return message(CALL, serial, {PATH: "/", MEMBER: "Big", SENDER: f":1.{serial}"})

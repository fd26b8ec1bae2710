# SPDX-License-Identifier: LGPL-2.1-or-later
"""D-Bus messages over a socket in both directions, bounded in memory and time per loop turn.

Descriptors can be sent, and are received only on request: recv(2) without room for ancillary data
makes the kernel drop them, so that no client can pass a descriptor into a service.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, Optional

from nestd.dbus.connection.messages import (
    FIXED_HEADER,
    MAX_HEADER,
    Header,
    Outgoing,
    ProtocolError,
    read_size,
)
from nestd.dbus.connection.protocol import Authentication, read_header, socket_names

MAX_QUEUE = 64 << 20
"""Bytes queued for the bus; beyond this the connection is considered lost. The bus daemons read at
once and buffer for slow clients within their own limits: the queue grows only if the bus has
stopped."""
# Bytes queued at which reading pauses and resumes, so that answers cannot outgrow the calls.
_PAUSE_QUEUE = 1 << 20
_RESUME_QUEUE = 256 << 10
_TURN_MESSAGES = 2048
_TURN_SECONDS = 0.01
_TURN_WRITES = 64
_READ_SIZE = 128 << 10
_WRITE_SIZE = 64 << 10
_MAX_AUTH_LINE = 16 << 10
_MAX_DESCRIPTORS = 253  # per sendmsg(2) (SCM_MAX_FD)

OnMessage = Callable[[Header, Optional[bytes]], None]
"""(header, whole message); the message is None if its body was refused unread."""
OnLost = Callable[[Exception], None]


class MessageStream:
    """One authenticated connection to a bus. Neither send nor close blocks or raises."""

    def __init__(
        self,
        sock: socket.socket,
        on_message: OnMessage,
        on_lost: OnLost,
        on_turn: Callable[[], None] = lambda: None,
        *,
        take_descriptors: bool = False,
    ) -> None:
        """ON_TURN is called after received messages have been handed on."""
        self._sock = sock
        self._on_turn = on_turn
        self._take_descriptors = take_descriptors
        self._descriptors: deque[int] = deque()
        self._bare = 0  # received bytes whose descriptors are already closed
        self._is_bare = False  # whether that holds for the message being handed on
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._on_lost = on_lost
        self._closed = False
        self._received = bytearray()
        self._at = 0  # offset in _received of the first message not yet handed on
        self._skip = 0
        self._gathering = False  # whether messages are collected to be sent together
        self._reading = False
        self._paused = False  # until the bus has read part of the queue
        self._next_turn: asyncio.Handle | None = None
        self._queue: deque[Outgoing] = deque()
        self._queued = 0
        self._sent = 0  # bytes already sent of the first message in the queue
        self._writing = False
        self._read_when_able()

    @classmethod
    async def connect(
        cls,
        address: str | None,
        on_message: OnMessage,
        on_lost: OnLost,
        on_turn: Callable[[], None] = lambda: None,
        *,
        take_descriptors: bool = False,
    ) -> MessageStream:
        """Connect to the first socket in the address that answers; raises OSError, ValueError."""
        error: OSError = ConnectionError("the bus address is empty")
        for name in socket_names(address):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, name)
                await _authenticate(sock)
                return cls(sock, on_message, on_lost, on_turn, take_descriptors=take_descriptors)
            except OSError as refused:
                sock.close()
                error = refused
            except BaseException:
                sock.close()
                raise
        raise error

    def send(self, message: Outgoing) -> None:
        """Queue a message; its descriptors are closed after sending or on failure."""
        if self._closed:
            message.close()
            return
        self._queue.append(message)
        self._queued += len(message.data)
        if self._queued > MAX_QUEUE:
            self._lose(ConnectionError("the bus has stopped reading"))
        elif not self._writing and not self._gathering:
            self._write()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Collect messages inside the with statement and send them at its end, in few calls."""
        if self._gathering:
            yield
            return
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
            if self._queue and not self._writing:
                self._write()

    @property
    def is_congested(self) -> bool:
        """Whether so much data is queued that no more should be added."""
        return self._queued > _PAUSE_QUEUE

    def descriptors(self, header: Header) -> list[int]:
        """The descriptors of the message being handed on; the caller must close them."""
        count = 0 if self._is_bare else min(header.fds, len(self._descriptors))
        return [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        """Close the socket and drop what is queued."""
        if self._closed:
            return
        self._closed = True
        if self._next_turn:
            self._next_turn.cancel()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        for message in self._queue:
            message.close()
        self._queue.clear()
        self._received = bytearray()
        self._at = 0
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _lose(self, error: Exception) -> None:
        if not self._closed:
            self.close()
            self._on_lost(error)

    def _read_when_able(self) -> None:
        """Watch the socket, unless messages wait for their turn or the bus has to read first."""
        wanted = self._next_turn is None and not self._paused
        if wanted and not self._reading:
            self._loop.add_reader(self._sock, self._readable)
        elif self._reading and not wanted:
            self._loop.remove_reader(self._sock)
        self._reading = wanted

    def _readable(self) -> None:
        try:
            data = self._receive()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self._lose(ConnectionResetError("the bus has closed the connection"))
            return
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._received += memoryview(data)[skipped:]
        self._turn()

    def _receive(self) -> bytes:
        if not self._take_descriptors:
            return self._sock.recv(_READ_SIZE)
        found = array.array("i")
        room = socket.CMSG_SPACE(_MAX_DESCRIPTORS * found.itemsize)
        data, ancillary, _, _ = self._sock.recvmsg(_READ_SIZE, room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found.frombytes(payload)
        self._descriptors.extend(found)
        return data

    def _turn(self) -> None:
        """Hand on a limited number of messages, so that other work on the loop is not delayed."""
        self._next_turn = None
        try:
            with self.gathering():
                self._hand_on(time.monotonic() + _TURN_SECONDS)
                self._on_turn()
        except ProtocolError as error:
            self._lose(error)
        if not self._closed:
            del self._received[: self._at]
            self._at = 0
            self._read_when_able()

    def _hand_on(self, end: float) -> None:
        for _ in range(_TURN_MESSAGES):
            self._paused = self.is_congested
            if self._closed or self._paused or not self._take_message():
                return
            if time.monotonic() > end:
                break
        self._plan_turn()

    def _plan_turn(self) -> None:
        if not self._closed and self._next_turn is None:
            self._next_turn = self._loop.call_soon(self._turn)

    def _take_message(self) -> bool:
        """Hand on the first received message; False if it is not complete yet."""
        received, at = self._received, self._at
        here = len(received) - at
        if here < FIXED_HEADER:
            return False
        size = read_size(received, at)
        total = size.header + size.body
        if size.header > MAX_HEADER:
            self._drop(total)
            return True
        acceptable = size.acceptable
        wanted = total if acceptable else size.header
        if here < wanted:
            return False
        message = bytes(memoryview(received)[at : at + wanted])
        try:
            header = read_header(message)
        except ProtocolError:
            self._drop(total)
            return True
        self._is_bare = self._bare > 0
        self._discard(total)
        self._on_message(header, message if acceptable else None)
        return True

    def _drop(self, length: int) -> None:
        """Skip a message that cannot be answered because its header cannot be read.

        The number of its descriptors is unknown too, so all descriptors received so far are closed:
        no other message may get them.
        """
        self._discard(length)
        self._close_descriptors()
        self._bare = len(self._received) - self._at

    def _discard(self, length: int) -> None:
        """Skip the next LENGTH bytes, received or still to come."""
        here = min(length, len(self._received) - self._at)
        self._at += here
        self._skip = length - here
        if self._bare:
            self._bare = max(0, self._bare - here)

    def _write(self) -> None:
        try:
            for _ in range(_TURN_WRITES):
                if not self._queue:
                    break
                self._write_some(self._queue[0])
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._lose(error)
            return
        if self._writing != bool(self._queue):
            self._writing = bool(self._queue)
            if self._writing:
                self._loop.add_writer(self._sock, self._write)
            else:
                self._loop.remove_writer(self._sock)
        if self._paused and self._queued < _RESUME_QUEUE:
            self._plan_turn()

    def _write_some(self, message: Outgoing) -> None:
        if not message.fds and len(self._queue) > 1:
            self._write_many()
            return
        rest = memoryview(message.data)[self._sent :]
        if message.fds and not self._sent:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", message.fds))
            self._sent = self._sock.sendmsg([rest], [rights])
            self._queue[0] = Outgoing(message.data)  # descriptors go with the first byte
            message.close()
        else:
            self._sent += self._sock.send(rest)
        if self._sent == len(message.data):
            self._queue.popleft()
            self._queued -= self._sent
            self._sent = 0

    def _write_many(self) -> None:
        """Send the leading messages that have no descriptors together."""
        parts, size = [], -self._sent
        for message in self._queue:
            if message.fds or size > _WRITE_SIZE:
                break
            parts.append(message.data)
            size += len(message.data)
        sent = self._sent + self._sock.send(memoryview(b"".join(parts))[self._sent :])
        while parts and sent >= len(self._queue[0].data):
            message = self._queue.popleft()
            self._queued -= len(message.data)
            sent -= len(message.data)
            parts.pop()
        self._sent = sent


async def _authenticate(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    handshake = Authentication()
    line = handshake.start()
    while True:
        await loop.sock_sendall(sock, line)
        if line.startswith(b"BEGIN"):
            return
        line = handshake.answer(await _read_line(sock))


async def _read_line(sock: socket.socket) -> bytes:
    """One line of the handshake. The bus only answers, so nothing follows the line."""
    line = b""
    while not line.endswith(b"\r\n"):
        data = await asyncio.get_running_loop().sock_recv(sock, 1024)
        if not data:
            raise ConnectionError("the bus closed the connection during authentication")
        line += data
        if len(line) > _MAX_AUTH_LINE:
            raise ConnectionError("the bus does not speak the authentication protocol")
    return line[:-2]

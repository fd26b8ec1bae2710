# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus client that sends arbitrary bytes."""

from __future__ import annotations

import os
import socket
import struct
from array import array as int_array
from collections.abc import Sequence
from dataclasses import dataclass

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL = 1, 2, 3, 4, 5
DESTINATION, SENDER, SIGNATURE, FDS = 6, 7, 8, 9
_TYPES = {PATH: "o", REPLY_SERIAL: "u", SIGNATURE: "g", FDS: "u"}


def pad(data: bytes, to: int) -> bytes:
    return data + bytes(-len(data) % to)


def string(text: str) -> bytes:
    """A marshalled string, to be aligned to 4 bytes."""
    return struct.pack("<I", len(text.encode())) + text.encode() + b"\0"


def array(items: bytes, alignment: int = 4) -> bytes:
    """A marshalled array, to be aligned to 8 bytes."""
    return pad(struct.pack("<I", len(items)), alignment) + items


def string_dict(entries: dict[str, str]) -> bytes:
    """A marshalled a{ss}, to be aligned to 8 bytes."""
    items = [pad(string(key), 4) + string(value) for key, value in entries.items()]
    return array(b"".join([*(pad(item, 8) for item in items[:-1]), *items[-1:]]), 8)


def message(
    kind: int, serial: int, fields: dict[int, str | int], body: bytes = b"", flags: int = 0
) -> bytes:
    """A little-endian message; a header field with an unknown code is a string."""
    data = b""
    for code, value in fields.items():
        type_ = _TYPES.get(code, "s")
        data = pad(data, 8) + bytes([code, 1]) + type_.encode() + b"\0"
        if type_ == "u":
            data += struct.pack("<I", value)
        elif type_ == "g":
            data += bytes([len(str(value))]) + str(value).encode() + b"\0"
        else:
            data += string(str(value))
    head = struct.pack("<cBBBIII", b"l", kind, flags, 1, len(body), serial, len(data))
    return pad(head + data, 8) + body


@dataclass(frozen=True)
class Received:
    kind: int
    serial: int
    fields: dict[int, str | int]
    body: bytes
    fds: Sequence[int]

    @property
    def error(self) -> str:
        return str(self.fields.get(ERROR_NAME, ""))

    @property
    def text(self) -> str:
        """The first value of the body, a string."""
        return self.body[4 : 4 + struct.unpack_from("<I", self.body)[0]].decode()


class RawClient:
    """A connection after Hello, as the effective user of this process."""

    def __init__(
        self, address: str, timeout: float = 10.0, *, takes_descriptors: bool = True
    ) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(address.split("path=")[1])
        self._buffer = b""
        self._fds: list[int] = []
        self._serial = 0
        self.sock.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        assert self._line().startswith(b"OK")
        if takes_descriptors:
            self.sock.sendall(b"NEGOTIATE_UNIX_FD\r\n")
            assert self._line() == b"AGREE_UNIX_FD"
        self.sock.sendall(b"BEGIN\r\n")
        bus = "org.freedesktop.DBus"
        serial = self.call(bus, "/org/freedesktop/DBus", bus, "Hello")
        self.unique_name = self.reply_to(serial).text

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.sock.close()

    def next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: bytes = b"",
        *,
        flags: int = 0,
        extra: dict[int, str | int] | None = None,
        fds: Sequence[int] = (),
    ) -> int:
        """Send a call and return its serial; an empty interface is omitted."""
        fields: dict[int, str | int] = {PATH: path, MEMBER: member, DESTINATION: destination}
        fields.update({INTERFACE: interface} if interface else {})
        fields.update({SIGNATURE: signature} if signature else {})
        fields.update({FDS: len(fds)} if fds else {})
        fields.update(extra or {})
        serial = self.next_serial()
        data = message(CALL, serial, fields, body, flags)
        self.send(data, fds)
        return serial

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send bytes, with the descriptors attached to the first of them."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, int_array("i", fds))] if fds else []
        sent = self.sock.sendmsg([data], rights)
        self.sock.sendall(data[sent:])

    def receive(self) -> Received:
        """The next message; raises TimeoutError, EOFError."""
        self._fill(16)
        body, serial, fields = struct.unpack_from("<III", self._buffer, 4)
        start = 16 + fields + -fields % 8
        self._fill(start + body)
        data, self._buffer = self._buffer[: start + body], self._buffer[start + body :]
        fds, self._fds = self._fds, []
        return Received(data[1], serial, _fields(data, 16 + fields), data[start:], fds)

    def reply_to(self, serial: int) -> Received:
        """The reply to a call; earlier messages are dropped."""
        while True:
            received = self.receive()
            if received.fields.get(REPLY_SERIAL) == serial:
                return received

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            data, ancillary, _, _ = self.sock.recvmsg(1 << 16, socket.CMSG_SPACE(64))
            if not data:
                raise EOFError
            self._buffer += data
            for _, _, rights in ancillary:
                self._fds += int_array("i", rights)

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.sock.recv(1)
        return line[:-2]


def _fields(data: bytes, end: int) -> dict[int, str | int]:
    """Header fields; the bus sends basic types only."""
    fields: dict[int, str | int] = {}
    at = 16
    while at < end:
        at += -at % 8
        code, type_ = data[at], chr(data[at + 2])
        at += 4
        size = 4
        if type_ == "g":
            size = data[at] + 2
            fields[code] = data[at + 1 : at + size - 1].decode()
        elif type_ == "u":
            fields[code] = struct.unpack_from("<I", data, at)[0]
        else:
            size = struct.unpack_from("<I", data, at)[0] + 5
            fields[code] = data[at + 4 : at + size - 1].decode()
        at += size
    return fields

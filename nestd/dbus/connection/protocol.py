# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus wire protocol: bytes to plain values and back. Only this file uses dbus_next.

dbus_next provides addresses, authentication, signatures and marshalling. Its connection classes are
not used: any user can end them with one message (an unknown header field, a full socket buffer),
and they do not tell a handler who called. Parts used here are private, hence the version check.
Changes for bytes that any local user may send:

* unknown header fields are ignored, as the specification requires;
* a reader never runs past its message, stops after a maximum of values, and in a call skips values
  that no method takes, which bounds both time and memory;
* the cache of parsed signatures is bounded (upstream keeps every signature ever seen);
* text that makes the bus disconnect the sender (NUL, lone surrogates) is replaced before sending.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import typing
from collections.abc import Mapping, Sequence
from struct import pack, pack_into, unpack_from

from nestd.dbus.connection.messages import (
    FIXED_HEADER,
    MAX_REPLY,
    METHOD_CALL,
    SIGNAL,
    Header,
    Outgoing,
    ProtocolError,
    byte_order,
    guarded,
    header_of,
    read_known_fields,
    read_size,
)
from nestd.dbus.connection.signatures import ALIGNMENT, end_of_type
from nestd.dbus.values import Variant

# A package of nestd for a distribution without dbus_next bundles it there, for nestd alone.
if os.path.isdir(os.path.join(os.path.dirname(__file__), "bundled")):
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "bundled"))

# dbus_next imports this name, which Python 3.15 removes.
if not hasattr(typing, "no_type_check_decorator"):
    typing.no_type_check_decorator = lambda decorator: decorator

import dbus_next
from dbus_next._private.address import get_system_bus_address, parse_address
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.auth import AuthExternal
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message
from dbus_next.signature import SignatureTree

from dbus_next.__version__ import __version__ as _version  # isort: skip

if _version != "0.2.3":
    raise ImportError(f"nestd knows the inside of dbus-next 0.2.3, not of {_version}")

# Signatures of sent values and of values read as a whole, never of a variant in a foreign call.
SignatureTree._get = staticmethod(functools.lru_cache(maxsize=256)(SignatureTree))

MAX_SIGNAL_VALUES = 16384
"""Values in the body of a signal, including containers: about 20 ms of reading."""
MAX_VALUES = 1 << 20
"""Values in any other body, more than a call with nestd's types can hold."""
_MAX_HEADER_VALUES = 512
_SERIAL_AT = 8  # offset in a message
_ANY_SERIAL = 0xFDFDFDFD

Packed = typing.Any
"""The result of check_value(); accepted wherever a variant is sent."""

_UNSENDABLE = re.compile("[\0\ud800-\udfff]")
_OBJECT_PATH = re.compile("/|(/[A-Za-z0-9_]+)+")


class _Reader(Unmarshaller):  # type: ignore[misc]
    """dbus_next's unmarshaller on one whole message; returns plain values, a bounded number."""

    def __init__(self, message: bytes, offset: int, max_values: int) -> None:
        super().__init__(None)
        self.buf = message
        self.offset = offset
        self.endian = message[0]
        self.uint32 = byte_order(message) + "I"
        self.values_left = max_values

    def read(self, n: int, prefetch: bool = False) -> int:
        start = self.offset
        if start + n > len(self.buf):
            raise ProtocolError("a value runs past the end of its message")
        self.offset = start + n
        return start

    def read_argument(self, type_: typing.Any) -> typing.Any:
        self.values_left -= 1
        if self.values_left < 0:
            raise ProtocolError("too many values in one message")
        return self.readers[type_.token](type_)

    def read_string(self, type_: typing.Any = None) -> str:
        # Twice as fast as upstream's: large received bodies consist of text.
        start = (self.offset + 3 & ~3) + 4
        end = start + unpack_from(self.uint32, self.buf, start - 4)[0]
        if end >= len(self.buf):
            raise ProtocolError("a string runs past the end of its message")
        self.offset = end + 1
        return str(self.buf[start:end], "utf-8")

    def read_struct(self, type_: typing.Any) -> tuple[object, ...]:
        return tuple(super().read_struct(type_))

    def read_variant(self, type_: typing.Any = None) -> Variant:
        signature = self.read_signature()
        types = SignatureTree._get(signature).types
        if len(types) != 1:
            raise ProtocolError("a variant must hold one value")
        return Variant(signature, self.read_argument(types[0]))


class _CallReader(_Reader):
    """For foreign calls: reads a container in a variant as None, since no option is a container.

    1 MiB of containers would become half a million Python objects.
    """

    def read_variant(self, type_: typing.Any = None) -> Variant:
        signature = self.read_signature()
        if len(signature) == 1 and signature not in "av":
            (basic,) = SignatureTree._get(signature).types
            return Variant(signature, self.read_argument(basic))
        if self._pass_over(signature, 0) != len(signature):
            raise ProtocolError("a variant must hold one value")
        return Variant(signature, None)

    def _pass_over(self, signature: str, at: int) -> int:
        """Skip a value of the type at offset AT of a signature; returns the next type's offset.

        Builds no tree of types, which takes some 46 KB for the longest signatures.
        """
        self.values_left -= 1
        if self.values_left < 0:
            raise ProtocolError("too many values in one message")
        token = signature[at]
        if token == "a":
            length = self.read_uint32()
            self.align(ALIGNMENT[signature[at + 1]])
            self.read(length)
            return end_of_type(signature, at)
        if token == "(":
            self.align(8)
            at += 1
            while signature[at] != ")":
                at = self._pass_over(signature, at)
        elif token == "v":
            self.read_variant()
        else:
            self.readers[token](None)
        return at + 1


def read_header(message: bytes) -> Header:
    """The header of a message of which at least the header has arrived; raises ProtocolError."""
    serial, size = unpack_from("<II" if message[0] == _LITTLE else ">II", message, _SERIAL_AT)
    if message[1] != METHOD_CALL or size > _LARGEST_KNOWN:
        return _read_header(message, serial)
    # The calls of a flood differ only in their serials and body sizes.
    raw = message[:3] + message[FIXED_HEADER - 4 : FIXED_HEADER + size]
    known = _known_headers.get(raw)
    if known is None:
        if len(_known_headers) >= _MOST_KNOWN:
            _known_headers.clear()
        known = _known_headers[raw] = _read_header(message, serial)
    return known.with_serial(serial)


_known_headers: dict[bytes, Header] = {}  # by their bytes without those numbers
_MOST_KNOWN = 256
_LARGEST_KNOWN = 512  # bytes of a header's fields
_LITTLE = ord("l")


def _read_header(message: bytes, serial: int) -> Header:
    fields = read_known_fields(message)
    if fields is None:
        reader = _CallReader(message, FIXED_HEADER - 4, _MAX_HEADER_VALUES)
        pairs = guarded(lambda: reader.read_argument(SignatureTree._get("a(yv)").types[0]))
        fields = {code: variant.value for code, variant in pairs}
    return header_of(message, serial, fields)


def read_body(message: bytes, header: Header) -> tuple[object, ...]:
    """The values in a whole message; raises ProtocolError.

    A call of MAX_BODY bytes takes some 0.3 s: read a large one in a thread.
    """
    offset = read_size(message).header
    if offset == len(message):
        if header.signature:
            raise ProtocolError("the body is missing")
        return ()
    reader_type = _CallReader if header.kind == METHOD_CALL else _Reader
    limit = MAX_SIGNAL_VALUES if header.kind == SIGNAL else MAX_VALUES
    reader = reader_type(message, offset, limit)
    types = guarded(lambda: SignatureTree._get(header.signature).types)
    return tuple(guarded(lambda: [reader.read_argument(type_) for type_ in types]))


def check_value(signature: str, value: object) -> Packed:
    """A value packed for sending as a variant of this type: a copy, comparable with ==.

    Raises ValueError if the value does not have the type. Descriptors cannot be packed.
    """
    fds: list[int] = []
    (type_,) = SignatureTree._get(signature).types
    packed = dbus_next.Variant(signature, _convert(type_, value, fds))
    if fds:
        raise ValueError("a property cannot be a file descriptor")
    return packed


def _convert(type_: typing.Any, value: typing.Any, fds: list[int]) -> object:
    """A plain value in the form that dbus_next marshals, range-checked; raises ValueError."""
    token = type_.token
    if token == "s" and isinstance(value, str):
        return _UNSENDABLE.sub("\ufffd", value)
    if token == "o" and isinstance(value, str):
        if not _OBJECT_PATH.fullmatch(value):
            raise ValueError("not an object path")
        return value
    if token == "g" and isinstance(value, str):
        return SignatureTree._get(value).signature
    if token == "a":
        return _convert_array(type_.children[0], value, fds)
    if token == "(" and isinstance(value, (tuple, list)) and len(value) == len(type_.children):
        return [_convert(child, item, fds) for child, item in zip(type_.children, value)]
    if token == "v" and isinstance(value, Variant):
        (inner,) = SignatureTree._get(value.signature).types
        return dbus_next.Variant(value.signature, _convert(inner, value.value, fds))
    if token == "v" and isinstance(value, dbus_next.Variant):
        return value
    if token == "h" and isinstance(value, int):
        os.fstat(value)  # raises OSError now, instead of a failing connection later
        fds.append(value)
        return len(fds) - 1
    if token in "bynqiuxtd":
        return value
    raise ValueError(f"{type(value).__name__} cannot be sent as {type_.signature}")


def _convert_array(child: typing.Any, value: typing.Any, fds: list[int]) -> object:
    if child.token == "{" and isinstance(value, Mapping):
        key, item = child.children
        return {_convert(key, k, fds): _convert(item, v, fds) for k, v in value.items()}
    if child.token == "y" and isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if child.token not in "{y" and isinstance(value, (tuple, list)):
        return [_convert(child, item, fds) for item in value]
    raise ValueError(f"{type(value).__name__} cannot be sent as a{child.signature}")


def _encode(
    signature: str, args: Sequence[object], serial: int, fields: dict[str, object]
) -> Outgoing:
    """Marshal one message; raises ValueError, and OSError for a closed descriptor."""
    path = fields.get("path")
    if isinstance(path, str) and not _OBJECT_PATH.fullmatch(path):
        raise ValueError("not an object path")
    types = SignatureTree._get(signature).types
    if len(types) != len(args):
        raise ValueError(f"{len(args)} values do not fit {signature!r}")
    fds: list[int] = []
    try:
        body = [_convert(type_, value, fds) for type_, value in zip(types, args)]
        message = Message(signature=signature, body=body, serial=serial, unix_fds=fds, **fields)
        data = bytes(message._marshall(negotiate_unix_fd=True))
        if len(data) > MAX_REPLY:
            raise ValueError("the message is longer than 16 MiB")
    except BaseException:
        Outgoing(b"", tuple(fds)).close()
        raise
    return Outgoing(data, tuple(fds))


def encode_call(
    serial: int,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    args: Sequence[object] = (),
    *,
    interactive: bool = False,
) -> Outgoing:
    """A method call that expects a reply; raises ValueError, OSError."""
    flags = MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION if interactive else MessageFlag.NONE
    fields: dict[str, object] = {
        "message_type": MessageType.METHOD_CALL,
        "flags": flags,
        "destination": destination,
        "path": path,
        "interface": interface,
        "member": member,
    }
    return _encode(signature, args, serial, fields)


def encode_reply(serial: int, call: Header, signature: str, args: Sequence[object]) -> Outgoing:
    """The answer to a call; raises ValueError, OSError."""
    fields: dict[str, object] = {
        "message_type": MessageType.METHOD_RETURN,
        "flags": MessageFlag.NO_REPLY_EXPECTED,
        "destination": call.sender,
        "reply_serial": call.serial,
    }
    return _encode(signature, args, serial, fields)


def encode_error(serial: int, call: Header, name: str, text: str) -> Outgoing:
    """The answer to a call that failed."""
    template, at = _error_template(call.sender, name, text)
    data = bytearray(template)
    pack_into("<I", data, _SERIAL_AT, serial)
    pack_into("<I", data, at, call.serial)
    return Outgoing(bytes(data))


@functools.lru_cache(maxsize=64)
def _error_template(destination: str, name: str, text: str) -> tuple[bytes, int]:
    """An error message with placeholder serials, and the offset of the reply serial."""
    fields: dict[str, object] = {
        "message_type": MessageType.ERROR,
        "flags": MessageFlag.NO_REPLY_EXPECTED,
        "destination": destination,
        "error_name": name,
    }
    fields["reply_serial"] = _ANY_SERIAL
    data = _encode("s", (text,), _ANY_SERIAL, fields).data
    # Names are ASCII and the text comes later: the first match after the serial is the right one.
    return data, data.index(pack("<I", _ANY_SERIAL), FIXED_HEADER)


def encode_signal(
    serial: int, path: str, interface: str, member: str, signature: str, args: Sequence[object]
) -> Outgoing:
    """A broadcast signal; raises ValueError, OSError."""
    fields: dict[str, object] = {
        "message_type": MessageType.SIGNAL,
        "flags": MessageFlag.NO_REPLY_EXPECTED,
        "path": path,
        "interface": interface,
        "member": member,
    }
    return _encode(signature, args, serial, fields)


def socket_names(address: str | None) -> list[str]:
    """The UNIX sockets in a D-Bus address (None: the system bus); abstract names begin with NUL.

    Raises ValueError if the address has none.
    """
    names = []
    for transport, options in parse_address(address or get_system_bus_address()):
        if transport == "unix" and "path" in options:
            names.append(options["path"])
        elif transport == "unix" and "abstract" in options:
            names.append("\0" + options["abstract"])
    if not names:
        raise ValueError(f"no UNIX socket in the bus address {address!r}")
    return names


class Authentication:
    """The client side of the EXTERNAL handshake, which negotiates descriptors; works on lines."""

    def __init__(self) -> None:
        self._external = AuthExternal()

    def start(self) -> bytes:
        """The first bytes to send."""
        line = self._external._authentication_start(negotiate_unix_fd=True)
        return f"\0{line}\r\n".encode()

    def answer(self, line: bytes) -> bytes:
        """The next bytes to send; BEGIN is the last. Raises ConnectionError if the bus refuses."""
        try:
            reply: str = self._external._receive_line(line.decode())
        except Exception as error:
            raise ConnectionError(f"the bus refused us: {error}") from error
        return f"{reply}\r\n".encode()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads values out of messages that come from anyone: dbus_next's unmarshaller, bounded.

Finds dbus_next first, also where it is bundled. See protocol for what is changed in it and why.
"""

from __future__ import annotations

import functools
import os
import sys
import typing
from struct import unpack_from
from typing import Callable

from nestd.dbus.connection.messages import ProtocolError, byte_order
from nestd.dbus.connection.wire import Variant

# A package of nestd for a distribution without dbus_next has it there: for nestd, and no other
# program.
if os.path.isdir(os.path.join(os.path.dirname(__file__), "bundled")):
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "bundled"))

# dbus_next imports this name, which Python 3.15 removes.
if not hasattr(typing, "no_type_check_decorator"):
    typing.no_type_check_decorator = lambda decorator: decorator

from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.signature import SignatureTree

from dbus_next.__version__ import __version__ as _version  # isort: skip

if _version != "0.2.3":
    raise ImportError(f"nestd knows the inside of dbus-next 0.2.3, not of {_version}")

# Those of what is sent, and of what is read as a whole: a stranger's variant is not among them.
SignatureTree._get = staticmethod(functools.lru_cache(maxsize=256)(SignatureTree))


class Reader(Unmarshaller):  # type: ignore[misc]
    """dbus_next's unmarshaller over one whole message, giving plain values, bounded."""

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
        # Two times faster than upstream's: of what is sent to us in masses, all is text.
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


class CallReader(Reader):
    """For strangers' calls, where a container in a variant is None: no option here is one.

    A mebibyte of them would be half a million Python objects.
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
        """Skip a value of the type that begins AT in a signature; where the next type begins.

        Without a tree of the types, of which each takes some 46 KB for the longest signatures.
        """
        self.values_left -= 1
        if self.values_left < 0:
            raise ProtocolError("too many values in one message")
        token = signature[at]
        if token == "a":
            length = self.read_uint32()
            self.align(_ALIGNMENT[signature[at + 1]])
            self.read(length)
            return _end_of_type(signature, at)
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


_ALIGNMENT = {
    **dict.fromkeys("ygv", 1),
    **dict.fromkeys("nq", 2),
    **dict.fromkeys("biusoah", 4),
    **dict.fromkeys("xtd({", 8),
}


def _end_of_type(signature: str, at: int) -> int:
    """Where the type ends that begins AT."""
    while signature[at] == "a":
        at += 1
    depth = 0
    while True:
        depth += (signature[at] in "({") - (signature[at] in ")}")
        at += 1
        if not depth:
            return at


def guarded(parse: Callable[[], typing.Any]) -> typing.Any:
    """Whatever goes wrong in dbus_next over a stranger's bytes is a ProtocolError."""
    try:
        return parse()
    except ProtocolError:
        raise
    except (Exception, RecursionError) as error:
        raise ProtocolError(f"a value cannot be read: {type(error).__name__}") from error

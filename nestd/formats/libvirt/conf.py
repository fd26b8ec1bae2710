# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd.conf, virtqemud.conf etc., exactly as libvirt reads them (src/util/virconf.c).

    NAME = VALUE      VALUE: "text", 'text', \"\"\"text on many lines\"\"\", a number, or a [ list ]

Statements end with a line end or ";". There are no escapes and no continuation lines. The first of
several assignments to one name counts. A NUL ends a string's text. A file that holds only white
space is an error, an empty file is not. Errors use libvirt's own wording.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn, Union

# libvirt reads no more than this (MAX_CONFIG_FILE_SIZE).
MAX_BYTES = 10 * 1024 * 1024
# Lists nested deeper than this are refused: libvirt recurses, and its stack overflows soon after.
MAX_NESTING = 100_000

Value = Union[bytes, int, tuple["Value", ...]]

_BLANKS = re.compile(rb"[ \t]*")
_SPACE = re.compile(rb"[ \t\r\n]*")
_COMMENTS = re.compile(rb"(?:#[^\r\n]*[ \t\r\n]*){1,500}")  # many at once, for speed
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_EQUALS = re.compile(rb"[ \t]*=[ \t]*")
_AFTER_VALUE = re.compile(rb"[ \t]*(?:#[^\r\n]*)?")
_TRIPLE_QUOTED = re.compile(rb'"""(.*?)"""', re.DOTALL)
_QUOTED = re.compile(rb"\"([^\"\r\n]*)\"|'([^'\r\n]*)'")
_NUMBER = re.compile(rb"[-+]?([0-9]+)")


class ConfError(ValueError):
    """libvirt cannot read the file, or cannot use the value; the daemon does not start.

    line counts from 1, as in libvirt; 0 stands for the whole file.
    """

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}" if line else text)
        self.line = line
        self.text = text


class Kind(Enum):
    """The type of a value; a number that starts with "-" is signed, even -0."""

    STRING = "string"
    SIGNED = "signed number"
    UNSIGNED = "unsigned number"
    LIST = "list"


@dataclass(frozen=True)
class Entry:
    """One assignment."""

    __slots__ = ("kind", "line", "name", "start", "value", "value_end", "value_start")

    name: str
    kind: Kind
    value: Value  # a string's bytes, a number in 64 bits, or a tuple of values
    line: int  # of the name, from 1
    start: int  # byte offset of the name
    value_start: int  # byte offsets of the value with its quotes
    value_end: int


@dataclass(frozen=True)
class Conf:
    """All assignments of a file, in order."""

    entries: tuple[Entry, ...]

    def first(self, name: str) -> Entry | None:
        """The assignment that counts, or None."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def get_string(self, name: str) -> str | None:
        """The string's text, or None if NAME is not set; bytes that are not UTF-8 as surrogates.

        Raises ConfError if it is not a string, as libvirt does (virConfGetValueString).
        """
        entry = self.first(name)
        if entry is None:
            return None
        if not isinstance(entry.value, bytes):
            raise ConfError(entry.line, f"expected a string for '{name}' parameter")
        return entry.value.decode("utf-8", "surrogateescape")

    def get_unsigned(self, name: str) -> int | None:
        """The number from 0 to 4294967295, or None if NAME is not set.

        Raises ConfError if it is something else, as libvirt does (virConfGetValueUInt).
        """
        entry = self.first(name)
        if entry is None:
            return None
        if entry.kind is not Kind.UNSIGNED or not isinstance(entry.value, int):
            raise ConfError(entry.line, f"expected an unsigned integer for '{name}' parameter")
        if entry.value > 4294967295:
            words = f"value for '{name}' parameter must be in range 0:4294967295"
            raise ConfError(entry.line, words)
        return entry.value


def parse(data: bytes) -> Conf:
    """The assignments of a file's bytes.

    Raises ConfError if libvirt would not read them. Versions differ in one point: a number
    beyond 64 bits wraps around here, as in libvirt up to 10; later versions refuse the file.
    """
    if len(data) > MAX_BYTES:
        raise ConfError(
            0, f"the file is larger than {MAX_BYTES} bytes, the most that libvirt reads"
        )
    return Conf(tuple(_entries(data)))


def _entries(data: bytes) -> Iterator[Entry]:
    position, line, counted = 0, 1, 0
    while position < len(data):
        start = _end(_SPACE, data, position)
        if data.startswith(b"#", start):
            position = _end(_COMMENTS, data, start)
            continue
        name = _NAME.match(data, start)
        if name is None:
            _fail(data, start, "expecting a name")
        equals = _EQUALS.match(data, name.end())
        if equals is None:
            _fail(data, name.end(), "expecting an assignment")
        kind, value, end = _value(data, equals.end())
        line, counted = line + data.count(b"\n", counted, start), start
        known = sys.intern(name.group().decode())
        yield Entry(known, kind, value, line, start, equals.end(), end)
        position = _after_separator(data, _end(_AFTER_VALUE, data, end))


def _after_separator(data: bytes, position: int) -> int:
    position = _end(_BLANKS, data, position)
    if position < len(data) and data[position] not in b"\n\r;":
        _fail(data, position, "expecting a separator")
    return _end(_SPACE, data, position + (data[position : position + 1] == b";"))


def _value(data: bytes, position: int) -> tuple[Kind, Value, int]:
    """The value at POSITION, and where it ends."""
    if data[position : position + 1] == b"[":
        items, end = _list(data, position)
        return Kind.LIST, items, end
    return _scalar(data, position)


def _list(data: bytes, position: int) -> tuple[Value, int]:
    """The list whose "[" is at POSITION, and where it ends. Lists nest to any depth."""
    outer: list[list[Value]] = []
    items: list[Value] = []
    fresh = True  # right after a "[", where no "," is expected
    position = _end(_SPACE, data, position + 1)
    while True:
        if position >= len(data):
            _fail(data, position, "list is not closed with ]")
        if not fresh and data[position] not in b"],":
            _fail(data, position, "expecting a separator in list")
        if not fresh and data.startswith(b",", position):
            position = _end(_SPACE, data, position + 1)
        char = data[position : position + 1]
        fresh = char == b"["
        if char == b"]":
            if not outer:
                return tuple(items), position + 1
            outer[-1].append(tuple(items))
            items = outer.pop()
            position += 1
        elif fresh:
            if len(outer) == MAX_NESTING:
                _fail(data, position, "the lists are nested too deep")
            outer.append(items)
            items = []
            position += 1
        else:
            _, value, position = _scalar(data, position)
            items.append(value)
        position = _end(_SPACE, data, position)


def _scalar(data: bytes, position: int) -> tuple[Kind, Value, int]:
    char = data[position : position + 1]
    if char in (b'"', b"'"):
        string = _string(data, position)
        text = string.group(string.lastindex or 0)
        return Kind.STRING, text.partition(b"\0")[0], string.end()
    if not char or char not in b"-+0123456789":
        _fail(data, position, "expecting a value")
    number = _NUMBER.match(data, position)
    if number is None:
        _fail(data, position + 1, "unterminated number")
    value = _wrapped(number.group(1))
    if char != b"-":
        return Kind.UNSIGNED, value, number.end()
    value = -value % 2**64
    return Kind.SIGNED, value - 2**64 if value >= 2**63 else value, number.end()


def _string(data: bytes, position: int) -> re.Match[bytes]:
    # libvirt looks for triple quotes only if more than six bytes are left (so at the very
    # end of a file it takes """""" for an empty string followed by other text).
    if data.startswith(b'"""', position) and position + 6 < len(data):
        found = _TRIPLE_QUOTED.match(data, position)
        last = max(position + 3, len(data) - 2)  # libvirt gives up here; line numbers count to it
    else:
        found = _QUOTED.match(data, position)
        last = position
    if found is None:
        _fail(data, last, "unterminated string")
    return found


def _wrapped(digits: bytes) -> int:
    """The number modulo 2**64."""
    # Only the last 64 digits contribute: 10**64 is the first power of ten that is a multiple
    # of 2**64.
    return int(digits[-64:]) % 2**64


def _end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    """The end of the match at POSITION of a pattern that always matches."""
    found = pattern.match(data, position)
    return found.end() if found else position


def _fail(data: bytes, position: int, text: str) -> NoReturn:
    raise ConfError(1 + data.count(b"\n", 0, position), text)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sets one string in libvirtd.conf and similar files; every other byte stays.

The rule:
- NAME is assigned: the value of the first assignment, the one that counts, is replaced. Later
  ones stay; dead_duplicates() gives their lines.
- NAME is not assigned: a line `NAME = "VALUE"` is added, right below the first commented example
  `#NAME=...` if there is one, as in the files that libvirt ships, else at the end.
- To unset, every assignment to NAME is removed, otherwise a later one would begin to count. Its
  line goes too unless there is something else on it. A comment after it stays.

Setting a name that was not set and unsetting it again therefore restores the original bytes. If
only white space would be left, which libvirt refuses, unsetting leaves an empty file. An added line
is surrounded by line feeds whatever ends the other lines: libvirt's augeas lens requires it.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator, Sequence

from nestd.formats.libvirt.conf import Conf, ConfError, Entry, parse

_BLANK = b" \t"
_EOL = b"\r\n"
_SEPARATOR = re.compile(rb"[ \t]*(?:;[ \t]*)?")
_REST_OF_LINE = re.compile(rb"[ \t]*(?:\r\n|\r|\n|\Z)")


class EditError(ValueError):
    """The setting cannot be written in a way that libvirt reads back as intended."""


def set_string(data: bytes, name: str, value: str | None) -> bytes:
    """The file DATA with NAME set to VALUE, or not set if VALUE is None.

    Raises ConfError if libvirt cannot read DATA, and EditError if it could not read the result or
    would read it differently. A value that is not a string is replaced too.
    """
    before = parse(data)
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name, re.ASCII):
        raise EditError(f"{name!a} is not the name of a setting")
    edited = _without(data, before, name) if value is None else _with(data, before, name, value)
    _verify(data, before, edited, name, value)
    return edited


def dead_duplicates(data: bytes, name: str) -> tuple[int, ...]:
    """The lines of the assignments to NAME that do not count because an earlier one does.

    Raises ConfError if libvirt cannot read DATA.
    """
    return tuple(entry.line for entry in _assignments(parse(data), name)[1:])


def _assignments(conf: Conf, name: str) -> list[Entry]:
    return [entry for entry in conf.entries if entry.name == name]


def _with(data: bytes, conf: Conf, name: str, value: str) -> bytes:
    if re.search('["\0\r\n]', value):
        raise EditError(f"the value of {name} holds a quotation mark, a line end or a NUL")
    try:
        quoted = b'"%s"' % value.encode()
    except UnicodeEncodeError:
        raise EditError(f"the value of {name} is not Unicode text") from None
    first = conf.first(name)
    if first is None:
        return _with_new_line(data, conf, name, b"%s = %s" % (name.encode(), quoted))
    if first.value == value.encode():
        return data
    return data[: first.value_start] + quoted + data[first.value_end :]


def _with_new_line(data: bytes, conf: Conf, name: str, line: bytes) -> bytes:
    place = _below_example(data, conf, name)
    head, tail = data[:place], data[place:]
    if head and not head.endswith(b"\n"):
        return head + b"\n" + line + tail  # at the end of a file whose last line has no line end
    return head + line + b"\n" + tail


def _below_example(data: bytes, conf: Conf, name: str) -> int:
    example = rb"(?:\A|(?<=[\r\n]))[ \t]*#[ \t]*%s[ \t]*=[^\r\n]*(?:\r?\n|\Z)" % name.encode()
    starts = [entry.start for entry in conf.entries]
    for found in re.finditer(example, data):
        # What looks like a comment may be a line inside a string of many lines.
        index = bisect(starts, found.start()) - 1
        if index < 0 or conf.entries[index].value_end <= found.start():
            return found.end()
    return len(data)


def _without(data: bytes, conf: Conf, name: str) -> bytes:
    kept, position = [], 0
    for start, end in _removals(data, _assignments(conf, name)):
        kept.append(data[position:start])
        position = end
    kept.append(data[position:])
    edited = b"".join(kept)
    return edited if edited.strip(_BLANK + _EOL) else b""


def _removals(data: bytes, entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """The spans to cut out, in order: each assignment, or its whole line if it is alone there."""
    spans: list[tuple[int, int]] = []
    for entry in entries:
        separator = _SEPARATOR.match(data, entry.value_end)
        _append(spans, entry.start, separator.end() if separator else entry.value_end)
    lines: list[tuple[int, int]] = []
    for start, end in spans:
        _append(lines, *_widened(data, start, end))
    for start, end in lines:
        # A last line without a line end goes with the line feed before it.
        unended = end == len(data) and data[-1] not in _EOL
        yield start - (unended and data[start - 1 : start] == b"\n"), end


def _append(spans: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a span after the others, or extend the last one if the two touch."""
    if spans and spans[-1][1] == start:
        start = spans.pop()[0]
    spans.append((start, end))


def _widened(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The span, extended by the rest of its line (line end included) if that is blank."""
    line_start = start
    while line_start and data[line_start - 1] in _BLANK:
        line_start -= 1
    rest = _REST_OF_LINE.match(data, end)
    if rest and (not line_start or data[line_start - 1] in _EOL):
        return line_start, rest.end()
    return start, end


def _verify(data: bytes, before: Conf, edited: bytes, name: str, value: str | None) -> None:
    """Raise EditError unless EDITED reads like DATA in all but NAME, and NAME as intended."""
    try:
        after = parse(edited)
    except ConfError as error:
        raise EditError(f"with {name} changed libvirt could not read the file: {error}") from None
    dead = len(_assignments(before, name)[1:]) if value is not None else 0
    if (
        after.get_string(name) != value
        or len(_assignments(after, name)[1:]) != dead
        or _others(edited, after, name) != _others(data, before, name)
    ):
        raise EditError(f"{name} cannot be changed without harm to other settings")


def _others(data: bytes, conf: Conf, name: str) -> list[tuple[str, bytes]]:
    """The assignments to other names, in order, as they are written."""
    return [
        (entry.name, data[entry.value_start : entry.value_end])
        for entry in conf.entries
        if entry.name != name
    ]

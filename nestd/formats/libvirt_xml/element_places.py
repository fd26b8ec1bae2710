# SPDX-License-Identifier: LGPL-2.1-or-later
"""Byte offsets of the elements in an XML document that safe_xml has accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.parsers import expat

# A tag from its "<" to its ">"; an attribute's value may contain ">" too.
_TAG = re.compile(rb"""<(?:[^<>"']|"[^"]*"|'[^']*')*>""")


@dataclass(frozen=True)
class Place:
    """One element: the offsets of its first byte, the end of its start tag, and its end."""

    path: tuple[str, ...]
    start: int
    tag_end: int
    end: int

    def tag(self, data: bytes) -> bytes:
        """The element's start tag."""
        return data[self.start : self.tag_end]

    def indent(self, data: bytes) -> bytes:
        """The blanks before the element if nothing else precedes it on its line."""
        line = data[data.rfind(b"\n", 0, self.start) + 1 : self.start]
        return line if not line.strip() else b""

    def replaced(self, data: bytes, tag: bytes) -> bytes:
        """DATA with TAG in place of the start tag."""
        return data[: self.start] + tag + data[self.tag_end :]

    def removed(self, data: bytes) -> bytes:
        """DATA without the element, and without its line if it was alone on it."""
        before = data[: self.start].rstrip(b" \t")
        return before.removesuffix(b"\n") + data[self.end :]

    def with_child(self, data: bytes, child: bytes) -> bytes:
        """DATA with CHILD added as the element's last child."""
        indent = self.indent(data)
        line = b"\n" + indent + b"  " + child
        tag = self.tag(data)
        if tag.endswith(b"/>"):
            name = tag[1:-2].split()[0]
            opened = tag[:-2].rstrip() + b">"
            whole = opened + line + b"\n" + indent + b"</" + name + b">"
            return data[: self.start] + whole + data[self.end :]
        close = data.rfind(b"</", self.start, self.end)
        inner = data[:close].rstrip()
        return inner + line + b"\n" + indent + data[close:]


@dataclass(frozen=True)
class Places:
    """The elements of a document in the order of their start tags."""

    found: tuple[Place, ...]

    def all(self, *path: str) -> tuple[Place, ...]:
        """The elements with this path from the root."""
        return tuple(each for each in self.found if each.path == path)

    def first(self, *path: str) -> Place | None:
        """The first element with this path from the root, or None."""
        return next(iter(self.all(*path)), None)


def find_places(data: bytes) -> Places:
    """All elements of DATA, which is UTF-8 whatever encoding it declares."""
    parser = expat.ParserCreate("utf-8")
    opened: list[tuple[str, int]] = []
    found: list[Place] = []

    def start(name: str, _attributes: object) -> None:
        opened.append((name, parser.CurrentByteIndex))

    def end(_name: str) -> None:
        path = tuple(name for name, _ in opened)
        begin = opened.pop()[1]
        tag_end = _end_of_tag(data, begin)
        closed = data[begin:tag_end].endswith(b"/>")
        whole = tag_end if closed else _end_of_tag(data, parser.CurrentByteIndex)
        found.append(Place(path, begin, tag_end, whole))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(data, True)
    return Places(tuple(sorted(found, key=lambda each: each.start)))


def _end_of_tag(data: bytes, start: int) -> int:
    found = _TAG.match(data, start)
    assert found is not None
    return found.end()

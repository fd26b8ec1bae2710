# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parses untrusted XML within fixed limits.

A document type definition is refused as a whole since it can declare entities (libvirt's formats
have none). Parsing stops at the first limit that is exceeded. libvirt itself uses libxml2, whose
default depth limit is used here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from nestd.formats.printable import one_line

MOST_BYTES = 1 << 20  # also the limit of a message; a large domain's XML has 100 KB
MOST_DEPTH = 256  # a chain of 200 disk images is nested that deep


class XmlError(ValueError):
    """The text is not XML within the limits; the message is one plain sentence."""


Until = tuple[int, str]
"""The element at which reading may end: its depth (the root's is 1) and its name."""


def parse(text: str, root: str, most_elements: int, until: Until | None = None) -> Element:
    """The document's root element, whose name must be ROOT. Raises XmlError.

    A declared encoding is ignored, since TEXT is decoded already. Parsing stops at UNTIL; the
    rest may be missing.
    """
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise XmlError("The XML holds characters that are not Unicode.") from None
    if size > MOST_BYTES:
        raise XmlError(f"The XML has {size} bytes; {MOST_BYTES} are the most that is read.")
    element = _read(text, root, most_elements, until)
    if isinstance(element, str):
        raise XmlError(element)
    return element


class _StopReading(Exception):
    """Everything that the caller needs has been read."""


def _read(text: str, root: str, most_elements: int, until: Until | None) -> Element | str:
    """The root element or an error text; an exception's traceback would keep half a tree alive."""
    builder = _LimitedBuilder(root, most_elements, until)
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    try:
        parser.feed(text)
        element = parser.close()
    except _StopReading:
        element = builder.root
    except XmlError as error:
        return str(error)
    except ParseError as error:
        return f"The XML is not well-formed: {error}."
    except DefusedXmlException:
        return "The XML has a document type definition (<!DOCTYPE ...>), which is not read here."
    assert isinstance(element, Element)
    return element


class _LimitedBuilder:
    """A TreeBuilder that stops as soon as a document exceeds the limits."""

    def __init__(self, root: str, most_elements: int, until: Until | None) -> None:
        self.root: Element | None = None
        self._root = root
        self._most_elements = most_elements
        self._until = until
        self._builder = TreeBuilder()
        self._elements = 0
        self._depth = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._elements == 0 and tag != self._root:
            raise XmlError(f"The XML's root element is {_shown(tag)}, not <{self._root}>.")
        self._elements += 1
        self._depth += 1
        if self._elements > self._most_elements:
            raise XmlError(f"The XML has more than {self._most_elements} elements.")
        if self._depth > MOST_DEPTH:
            raise XmlError(f"The XML's elements are nested more than {MOST_DEPTH} deep.")
        if (self._depth, tag) == self._until:
            raise _StopReading
        element = self._builder.start(tag, dict(attributes))
        self.root = element if self.root is None else self.root

    def end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(tag)

    def data(self, text: str) -> None:
        self._builder.data(text)

    def close(self) -> Element:
        return self._builder.close()


def _shown(tag: str) -> str:
    name = tag.rpartition("}")[2]
    space = ", in a namespace of its own" if tag.startswith("{") else ""
    return f"<{one_line(name[:40])}>{space}"

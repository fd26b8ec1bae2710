# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether two XML texts define the same domain, however libvirt orders and indents them."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from nestd.formats.libvirt_xml import domain_xml, safe_xml


def equivalent(one: str, other: str) -> bool:
    """Compare elements, attributes and text. Raises safe_xml.XmlError."""
    first, second = (
        safe_xml.parse(text, domain_xml.ROOT, domain_xml.MOST_ELEMENTS) for text in (one, other)
    )
    return bool(_plain(first) == _plain(second))


def _plain(element: Element) -> Any:
    children = sorted(map(_plain, element), key=repr)
    texts = [(text or "").strip() for text in (element.text, *(each.tail for each in element))]
    return element.tag, sorted(element.attrib.items()), sorted(texts), children

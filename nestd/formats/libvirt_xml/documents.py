# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several XML documents in one text, as printed by virt-install --print-xml.

Any user may send a text: reading takes linear time, whatever the content.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_COMMENT, _CDATA = ("<!--", "-->"), (r"<!\[CDATA\[", r"\]\]>")
_DECLARATION = (r"<\?", r"\?>")
_DOMAIN = (r"<domain[\s>]", r"</domain\s*>")
_NAME = (r"<name\s*>", r"</name\s*>")
_MOST = 100


def split_domains(text: str) -> tuple[str, ...]:
    """Each <domain> of TEXT by itself; TEXT unchanged unless it contains several."""
    plain = _blanked(text, _COMMENT, _CDATA)
    places = list(_spans(plain, _DOMAIN))
    if len(places) < 2 or _wrapped(plain, places):
        return (text,)
    return tuple(text[begin:end] for begin, end in places[:_MOST])


def domain_name(text: str) -> str:
    """The name of the <domain> in TEXT, "" if it has none."""
    for begin, end in _spans(_blanked(text, _COMMENT, _CDATA), _NAME):
        return html.unescape(re.sub("<[^>]*>", "", text[begin:end])).strip()
    return ""


def _spans(text: str, *marks: tuple[str, str]) -> Iterator[tuple[int, int]]:
    """The offsets of each span from an opening mark to its closing mark.

    MARKS are pairs of regular expressions. A span that is not closed is the last one.
    """
    opening = re.compile("|".join(f"({mark})" for mark, _ in marks))
    closing = [re.compile(mark) for _, mark in marks]
    at = 0
    while (begin := opening.search(text, at)) is not None:
        end = closing[(begin.lastindex or 1) - 1].search(text, begin.end())
        if end is None:
            return
        at = end.end()
        yield begin.start(), at


def _blanked(text: str, *marks: tuple[str, str]) -> str:
    """TEXT with the spans between MARKS replaced by blanks, so that all offsets stay."""
    parts, at = [], 0
    for begin, end in _spans(text, *marks):
        parts += [text[at:begin], " " * (end - begin)]
        at = end
    return "".join([*parts, text[at:]])


def _wrapped(plain: str, places: list[tuple[int, int]]) -> bool:
    """Whether anything other than blanks and declarations surrounds the domains."""
    begins, ends = [begin for begin, _ in places], [end for _, end in places]
    between = "".join(plain[end:begin] for end, begin in zip([0, *ends], [*begins, len(plain)]))
    return _blanked(between, _DECLARATION).strip() != ""

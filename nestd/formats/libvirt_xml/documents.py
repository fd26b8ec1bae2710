# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several XML documents in one text, as virt-install --print-xml prints them one after another.

Anybody may send a text: it is read in a time that grows with its length, whatever it is.
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
    """Each <domain> of TEXT by itself; TEXT unchanged unless it holds several."""
    plain = _blanked(text, _COMMENT, _CDATA)
    places = list(_spans(plain, _DOMAIN))
    if len(places) < 2 or _wrapped(plain, places):
        return (text,)
    return tuple(text[begin:end] for begin, end in places[:_MOST])


def domain_name(text: str) -> str:
    """The name of the <domain> in TEXT, "" where it has none."""
    for begin, end in _spans(_blanked(text, _COMMENT, _CDATA), _NAME):
        return html.unescape(re.sub("<[^>]*>", "", text[begin:end])).strip()
    return ""


def _spans(text: str, *marks: tuple[str, str]) -> Iterator[tuple[int, int]]:
    """Where what stands from an opening mark to its closing one begins and ends.

    MARKS are pairs of regular expressions. One that is not closed is the last.
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
    """TEXT with blanks instead of what stands between the marks: all offsets stay."""
    parts, at = [], 0
    for begin, end in _spans(text, *marks):
        parts += [text[at:begin], " " * (end - begin)]
        at = end
    return "".join([*parts, text[at:]])


def _wrapped(plain: str, places: list[tuple[int, int]]) -> bool:
    """Whether anything but blanks and declarations surrounds the domains."""
    begins, ends = [begin for begin, _ in places], [end for _, end in places]
    between = "".join(plain[end:begin] for end, begin in zip([0, *ends], [*begins, len(plain)]))
    return _blanked(between, _DECLARATION).strip() != ""

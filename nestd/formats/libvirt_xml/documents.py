# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several XML documents in one text, as virt-install --print-xml prints them one after another."""

from __future__ import annotations

import html
import re

_COMMENT = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>", re.DOTALL)
_DOMAIN = re.compile(r"<domain[\s>].*?</domain\s*>", re.DOTALL)
_NAME = re.compile(r"<name\s*>(.*?)</name\s*>", re.DOTALL)
_MOST = 100


def split_domains(text: str) -> tuple[str, ...]:
    """Each <domain> of TEXT by itself; TEXT unchanged unless it holds several."""
    plain = _without_comments(text)
    places = [found.span() for found in _DOMAIN.finditer(plain)]
    if len(places) < 2 or _wrapped(plain, places):
        return (text,)
    return tuple(text[begin:end] for begin, end in places[:_MOST])


def domain_name(text: str) -> str:
    """The name of the <domain> in TEXT, "" where it has none."""
    found = _NAME.search(_without_comments(text))
    return html.unescape(found.group(1)).strip() if found else ""


def _without_comments(text: str) -> str:
    """What stands in a comment does not count; blanking keeps all offsets."""
    return _COMMENT.sub(lambda found: " " * len(found.group()), text)


def _wrapped(plain: str, places: list[tuple[int, int]]) -> bool:
    """Whether anything but blanks and declarations surrounds the domains."""
    between = plain[: places[0][0]]
    for (_, end), (begin, _) in zip(places, places[1:]):
        between += plain[end:begin]
    between += plain[places[-1][1] :]
    return re.sub(r"<\?.*?\?>", "", between, flags=re.DOTALL).strip() != ""

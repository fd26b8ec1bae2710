# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several XML documents in one text, as virt-install --print-xml prints them one after another."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>", re.DOTALL)
_DOMAIN = re.compile(r"<domain[\s>].*?</domain\s*>", re.DOTALL)
_MOST = 100


def split_domains(text: str) -> tuple[str, ...]:
    """Each <domain> of TEXT by itself; TEXT unchanged unless it holds several."""
    # A domain inside a comment does not count; blanking keeps all offsets.
    plain = _COMMENT.sub(lambda found: " " * len(found.group()), text)
    places = [found.span() for found in _DOMAIN.finditer(plain)]
    if len(places) < 2 or _wrapped(plain, places):
        return (text,)
    return tuple(text[begin:end] for begin, end in places[:_MOST])


def _wrapped(plain: str, places: list[tuple[int, int]]) -> bool:
    """Whether anything but blanks and declarations surrounds the domains."""
    between = plain[: places[0][0]]
    for (_, end), (begin, _) in zip(places, places[1:]):
        between += plain[end:begin]
    between += plain[places[-1][1] :]
    return re.sub(r"<\?.*?\?>", "", between, flags=re.DOTALL).strip() != ""

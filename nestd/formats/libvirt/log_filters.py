# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's log filters: "1:qemu 3:remote" sets the level for the categories that match.

The first filter that matches a category decides; without one the default level counts
(virLogSourceUpdate). What nestd writes is the subset that means the same from libvirt 4.4 on:
single blanks, a digit from 1 to 4, one colon, and a pattern of ASCII letters, digits and "_.*?-".
libvirt reports filters with stars around each pattern and a final blank: "1:*qemu* 3:*remote* ".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nestd.formats.libvirt import log_patterns
from nestd.formats.libvirt.log_items import (
    InvalidItem,
    Item,
    Level,
    lenient_level,
    shown,
    split_leniently,
    split_strictly,
    strict_level,
)

# Far more than anyone needs, and few enough for log_warnings to compare them all.
MAX_FILTERS = 200

_NOT_IN_PATTERN = re.compile(r"[^A-Za-z0-9_.*?-]")


@dataclass(frozen=True)
class Filter:
    """The level for the categories in which the pattern is found.

    The parsers normalize the pattern (log_patterns), so that filters of equal meaning are equal.
    """

    level: Level
    pattern: str

    def __str__(self) -> str:
        return f"{self.level:d}:{self.pattern}"


class InvalidFilter(InvalidItem):
    """A filter breaks a rule; the text and the attributes say which filter and which rule."""

    noun = "filter"


def parse_strict(text: str) -> tuple[Filter, ...]:
    """Parse the filters of a text that nestd may write; none for an empty text.

    Raises InvalidFilter, also for more than MAX_FILTERS filters or MAX_TEXT characters.
    """
    filters = []
    for item in split_strictly(text, InvalidFilter):
        if item.number > MAX_FILTERS:
            raise InvalidFilter(item, f"{MAX_FILTERS} filters are the most that is taken")
        filters.append(_strict(item))
    return tuple(filters)


def parse_readback(text: str) -> tuple[Filter, ...]:
    """Parse the filters of a text from libvirt or a file, as libvirt 9 does.

    Raises InvalidFilter for a text that no version of libvirt accepts.
    """
    return tuple(_lenient(item) for item in split_leniently(text, InvalidFilter))


def canonical(filters: Iterable[Filter]) -> str:
    """The filters as nestd shows and writes them. Raises nothing."""
    return " ".join(map(str, filters))


def effective(filters: Iterable[Filter], category: str, default: int = Level.WARNING) -> Level:
    """The level of a category; DEFAULT is log_level."""
    for one in filters:
        if log_patterns.matches(one.pattern, category):
            return one.level
    return Level(default)


def _strict(item: Item) -> Filter:
    level, colon, pattern = item.text.partition(":")
    if not colon:
        raise InvalidFilter(item, "a filter is LEVEL:PATTERN, as in 1:qemu")
    known_level = strict_level(item, level, InvalidFilter)
    if not pattern:
        raise InvalidFilter(item, "the pattern behind the colon is empty")
    wrong = _NOT_IN_PATTERN.search(pattern)
    if wrong:
        allowed = "ASCII letters, digits and the characters _ . * ? -"
        rule = f"a pattern is made of {allowed}, and {shown(wrong.group())} is none of them"
        raise InvalidFilter(item, rule)
    return Filter(known_level, log_patterns.normal(pattern))


def _lenient(item: Item) -> Filter:
    parts = item.text.split(":")
    if len(parts) < 2:
        raise InvalidFilter(item, "a filter is LEVEL:PATTERN, as in 1:qemu")
    level = lenient_level(item, parts[0], InvalidFilter)
    # One "+" once asked for stack traces; what follows a second colon is ignored.
    pattern = parts[1][1:] if parts[1].startswith("+") else parts[1]
    if not pattern:
        raise InvalidFilter(item, "the pattern behind the colon is empty")
    return Filter(level, log_patterns.normal(pattern))

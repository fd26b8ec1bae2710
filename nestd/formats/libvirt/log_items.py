# SPDX-License-Identifier: LGPL-2.1-or-later
"""What libvirt's log_filters and log_outputs have in common (src/util/virlog.c).

Both are items separated by blanks (U+0020 and nothing else), and each item starts with a level
from 1 to 4 and a colon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

# More than anyone needs to write: a list of all of libvirt's categories has half of it. It is
# also below the limit of one program argument (128 KiB).
MAX_TEXT = 16_384
# A longer text is not parsed when it is read back.
MAX_READBACK = 262_144

# As strtoul(3) reads them: white space, a "+" and zeros may come first.
_LENIENT_LEVEL = re.compile(r"[ \t\n\v\f\r]*\+?0*([1-4])")
_SHOWN = 60  # characters of an item that an error shows


class Level(IntEnum):
    """Severity of a message; a filter or output passes messages of at least its level."""

    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4


@dataclass(frozen=True)
class Item:
    """One of the items of a text."""

    text: str
    number: int  # from 1
    offset: int  # in characters, from 0


class InvalidItem(ValueError):
    """An item breaks a rule; if the whole text does, item is "" and number and offset are 0."""

    noun = "item"

    def __init__(self, item: Item, rule: str) -> None:
        where = f"{self.noun} {item.number}, {shown(item.text)}, at character {item.offset + 1}"
        super().__init__(f"{where if item.number else f'the {self.noun}s'}: {rule}")
        self.item = item.text
        self.number = item.number
        self.offset = item.offset
        self.rule = rule


def split_strictly(text: str, error: type[InvalidItem]) -> Iterator[Item]:
    """Split a text that nestd may write; any number of blanks may separate the items.

    Raises ERROR for a text of more than MAX_TEXT characters.
    """
    _check_length(text, MAX_TEXT, error)
    return _split(text)


def split_leniently(text: str, error: type[InvalidItem]) -> Iterator[Item]:
    """Split a text as libvirt does. Raises ERROR for more than MAX_READBACK characters."""
    _check_length(text, MAX_READBACK, error)
    return _split(text)


def _split(text: str) -> Iterator[Item]:
    for number, found in enumerate(re.finditer("[^ ]+", text), 1):
        yield Item(found.group(), number, found.start())


def strict_level(item: Item, text: str, error: type[InvalidItem]) -> Level:
    """The level written as one digit. Raises ERROR."""
    if text not in ("1", "2", "3", "4"):
        raise error(item, "the level must be 1 (debug), 2 (info), 3 (warning) or 4 (error)")
    return Level(int(text))


def lenient_level(item: Item, text: str, error: type[InvalidItem]) -> Level:
    """The level as libvirt reads it. Raises ERROR."""
    found = _LENIENT_LEVEL.fullmatch(text)
    if found is None:
        raise error(item, "the level must be a number from 1 to 4")
    return Level(int(found.group(1)))


def shown(text: str) -> str:
    """The text as an error message shows it: quoted, in ASCII, shortened."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _check_length(text: str, limit: int, error: type[InvalidItem]) -> None:
    if len(text) > limit:
        rule = f"the text has {len(text)} characters, and {limit} are the most that is taken"
        raise error(Item("", 0, 0), rule)

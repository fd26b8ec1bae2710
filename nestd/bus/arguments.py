# SPDX-License-Identifier: LGPL-2.1-or-later
"""Typed readers of a call's arguments, with the checks beyond their D-Bus types.

The dbus floor has checked the types before a handler runs, so a value of another Python type is a
bug and fails an assertion. A caller's mistake raises InvalidArgument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from nestd.bus.authorization import Action
from nestd.core.errors import InvalidArgument
from nestd.core.logs.change import LogWhen
from nestd.core.model import When
from nestd.dbus.values import Variant
from nestd.formats.printable import quoted

_LONGEST_LABEL = 256


_Moment = TypeVar("_Moment", When, LogWhen)


def text(given: object) -> str:
    """A string (s, o or g)."""
    assert isinstance(given, str)
    return given


def number(given: object) -> int:
    """An integer of any D-Bus type."""
    assert isinstance(given, int)
    return given


def flag(given: object) -> bool:
    """A boolean (b)."""
    assert isinstance(given, bool)
    return given


def texts(given: object) -> list[str]:
    """A list of strings (as); not copied, since it may be large."""
    assert isinstance(given, list)
    return given


def strings(given: object) -> dict[str, str]:
    """A map of strings (a{ss}); not copied, since it may be large."""
    assert isinstance(given, dict)
    return given


def when(word: object, allowed: Iterable[_Moment]) -> _Moment:
    """The value of "when" named by WORD. Raises InvalidArgument."""
    words = {each.value: each for each in allowed}
    found = words.get(text(word))
    if found is None:
        known = ", ".join(f'"{name}"' for name in words)
        raise InvalidArgument(f"{quoted(text(word))} is not one of {known}.")
    return found


class Options:
    """The options in an a{sv}; None for keys that were not given."""

    def __init__(self, given: object, known: Mapping[str, str]) -> None:
        """KNOWN gives the signature of each allowed key."""
        assert isinstance(given, Mapping)
        self._values = {key: _option(key, variant, known) for key, variant in given.items()}

    def text(self, key: str) -> str | None:
        """An option of type s."""
        return text(self._values[key]) if key in self._values else None

    def number(self, key: str) -> int | None:
        """An option of an integer type."""
        return number(self._values[key]) if key in self._values else None

    def flag(self, key: str) -> bool:
        """An option of type b; False if it was not given."""
        return flag(self._values.get(key, False))


def _option(key: str, variant: object, known: Mapping[str, str]) -> object:
    assert isinstance(variant, Variant)
    if key not in known:
        raise InvalidArgument(f"There is no option {quoted(key)}.")
    if variant.signature != known[key]:
        raise InvalidArgument(
            f'The option "{key}" has the type {quoted(variant.signature)}, not "{known[key]}".'
        )
    return variant.value


def action(name: str) -> Action:
    """The polkit action called NAME without its prefix "org.nestd1.". Raises InvalidArgument."""
    actions = {each.value.rpartition(".")[2]: each for each in Action}
    if name not in actions:
        raise InvalidArgument(f"{quoted(name)} is not one of {', '.join(sorted(actions))}.")
    return actions[name]


def label(what: str, given: object) -> str:
    """A short printable text to show to users; WHAT names it in the InvalidArgument raised."""
    words = text(given)
    if not words or len(words) > _LONGEST_LABEL or not words.isprintable():
        raise InvalidArgument(
            f"{what} must be a text of 1 to {_LONGEST_LABEL} printable characters."
        )
    return words

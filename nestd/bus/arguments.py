# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a call's arguments have to be beyond their D-Bus types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from nestd.core.errors import InvalidArgument
from nestd.core.logs.change import LogWhen
from nestd.core.model import When
from nestd.dbus.connection.wire import Variant
from nestd.formats.printable import quoted

_LONGEST_LABEL = 256


_Moment = TypeVar("_Moment", When, LogWhen)


def when(word: object, allowed: Iterable[_Moment]) -> _Moment:
    """The moment that WORD names."""
    words = {each.value: each for each in allowed}
    found = words.get(str(word))
    if found is None:
        known = ", ".join(f'"{name}"' for name in words)
        raise InvalidArgument(f"{quoted(str(word))} is none of {known}.")
    return found


def options(given: object, known: Mapping[str, str]) -> dict[str, object]:
    """The values of an a{sv}, where KNOWN gives the signature of each key that may be there."""
    assert isinstance(given, Mapping)
    values: dict[str, object] = {}
    for key, variant in given.items():
        assert isinstance(variant, Variant)
        if key not in known:
            raise InvalidArgument(f"There is no option {quoted(key)}.")
        if variant.signature != known[key]:
            raise InvalidArgument(
                f'The option "{key}" has the type {quoted(variant.signature)}, not "{known[key]}".'
            )
        values[key] = variant.value
    return values


def strings(given: object) -> dict[str, str]:
    """An a{ss}; not copied, for it may be a large one."""
    assert isinstance(given, dict)
    return given


def label(what: str, given: object) -> str:
    """A short text that is shown to people."""
    text = str(given)
    if not text or len(text) > _LONGEST_LABEL or not text.isprintable():
        raise InvalidArgument(
            f"{what} has to be a text of 1 to {_LONGEST_LABEL} printable characters."
        )
    return text

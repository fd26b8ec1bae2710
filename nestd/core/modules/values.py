# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parameter values: when two are equal to the kernel, and how nestd writes one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nestd.core.model import Answer
from nestd.formats.modprobe.kernel_params import (
    KernelVersion,
    ParameterType,
    accepts,
    number,
    truth,
)

NESTED = "nested"

_BOOLEANS = (ParameterType.BOOL, ParameterType.INVBOOL, ParameterType.BINT)
_ANY_KERNEL = (99, 0)  # accepts every spelling that any kernel accepts
_NULL_STRING = "(null)"  # the kernel's display of an unset charp
# "get" of these returns other words than "set" takes ("not required" for "cond").
_OTHER_WORDS = (ParameterType.NX_HUGE_PAGES, ParameterType.L1D_FLUSH)


def canonical(kind: ParameterType, value: str | None) -> str:
    """One spelling for all values that are equal to the kernel; VALUE itself if it is invalid.

    None means a parameter without "=", which is true for a bool (lib/cmdline.c).
    """
    text = _bytes(value)
    if kind in _BOOLEANS:
        boolean = truth(kind, text, kernel=_ANY_KERNEL)
        return (value or "") if boolean is None else str(int(boolean))
    found = None if text is None else number(kind, text)
    return (value or "").strip() if found is None else str(found)


def differing(
    wanted: Mapping[str, str | None],
    running: Mapping[str, str],
    types: Mapping[str, ParameterType],
) -> tuple[str, ...]:
    """The parameters of WANTED with a different value in RUNNING; those not in RUNNING are ignored.

    Parameters that the kernel displays differently are ignored too: see unverifiable().
    """
    return tuple(
        name
        for name, value in wanted.items()
        if name in running
        and _type(types, name) not in _OTHER_WORDS
        and not same(name, _shown_as(_type(types, name), running[name]), value, running[name])
    )


def unverifiable(
    wanted: Mapping[str, str | None], types: Mapping[str, ParameterType]
) -> tuple[str, ...]:
    """The parameters of WANTED whose value in sysfs cannot be compared."""
    return tuple(name for name in wanted if _type(types, name) in _OTHER_WORDS)


def same(name: str, kind: ParameterType, one: str | None, other: str | None) -> bool:
    """Whether two values of the parameter NAME mean the same to its module.

    kvm_amd declares "nested" as an int but only tests whether it is zero.
    """
    if name == NESTED:
        found = answer(kind, one)
        return found is answer(kind, other) and found is not Answer.INVALID
    return canonical(kind, one) == canonical(kind, other)


def as_text(values: Mapping[str, str | None]) -> dict[str, str]:
    """VALUES as shown to clients: "" for a parameter without "="."""
    return {name: value or "" for name, value in values.items()}


def passable(
    running: Mapping[str, str], types: Mapping[str, ParameterType]
) -> tuple[tuple[str, str], ...]:
    """The RUNNING values that the kernel certainly accepts in their displayed form."""
    return tuple(
        (name, value)
        for name, value in running.items()
        if _type(types, name) not in (ParameterType.UNKNOWN, *_OTHER_WORDS)
        and value != _NULL_STRING
        and " " not in value
        and accepts(types[name], _bytes(value))
    )


def acceptable(kind: ParameterType, value: str | None, kernel: KernelVersion | None = None) -> bool:
    """Whether KERNEL accepts VALUE for a parameter of KIND; without KERNEL, whether all do."""
    return accepts(kind, _bytes(value), kernel=kernel)


def written(name: str, kind: ParameterType, value: str) -> str:
    """The form in which nestd writes VALUE: 1 or 0 for a bool and for "nested" of any type."""
    if name == NESTED and answer(kind, value) is not Answer.INVALID:
        return "1" if answer(kind, value) is Answer.YES else "0"
    return canonical(kind, value) if kind in _BOOLEANS else value


def answer(kind: ParameterType, value: str | None, kernel: KernelVersion | None = None) -> Answer:
    """The meaning of a value of "nested" to KERNEL."""
    boolean = truth(kind, _bytes(value), kernel=kernel)
    if boolean is None:
        return Answer.INVALID
    return Answer.YES if boolean else Answer.NO


def version(release: str) -> KernelVersion:
    """Major and minor of a kernel release ("5.14.0-503.el9.x86_64": 5, 14); 0, 0 if unparsable."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def _bytes(value: str | None) -> bytes | None:
    # The kernel ends a value at white space, including a carriage return.
    return None if value is None else value.strip().encode("utf-8", "backslashreplace")


def _shown_as(kind: ParameterType, shown: str) -> ParameterType:
    """KIND, or if unknown, a type guessed from the value in sysfs: Y and N, or a number."""
    if kind is not ParameterType.UNKNOWN:
        return kind
    if shown in ("Y", "N"):
        return ParameterType.BOOL
    is_number = number(ParameterType.ULLONG, shown.lstrip("-").encode()) is not None
    return ParameterType.LONG if is_number else kind


def _type(types: Mapping[str, ParameterType], name: str) -> ParameterType:
    return types.get(name, ParameterType.UNKNOWN)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plain values that other floors exchange with this one: calls, signals, variants.

D-Bus types map to plain Python: s, o and g to str; bool, int, float; ay to bytes; a{..} to dict;
received structs to tuple and other arrays to list, while either may be sent for both; v to Variant;
h to an open file descriptor, which can only be sent and is closed after sending or if sending
fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Variant:
    """A value with its type; signature is one complete type."""

    __slots__ = ("signature", "value")
    signature: str
    value: object


@dataclass(frozen=True)
class Call:
    """A method call as its handler sees it."""

    sender: str  # unique name, set by the bus: cannot be forged
    path: str
    interface: str  # resolved even if the caller omitted it
    member: str
    args: tuple[object, ...]
    interactive: bool  # the caller allows a prompt (ALLOW_INTERACTIVE_AUTHORIZATION)


@dataclass(frozen=True)
class Signal:
    """A signal that matches a subscription."""

    sender: str  # unique name, or org.freedesktop.DBus
    path: str
    interface: str
    member: str
    args: tuple[object, ...]


@dataclass(frozen=True)
class Route:
    """The handler of a call, with the types of its body.

    An inline route is a plain function that answers at once, or returns None to pass the call to
    the route `otherwise`. Any other route is a coroutine function, run as a task that counts
    against the caller's limit. A route that reads changes nothing, so a call that wants no reply is
    skipped.
    """

    interface: str
    in_signature: str
    out_signature: str
    run: Callable[[Call], Sequence[object] | Awaitable[Sequence[object]] | None]
    inline: bool = False
    otherwise: Route | None = None
    reads: bool = False


Resolve = Callable[[str, str, str], Route]
"""(path, interface or "", member) -> Route; raises errors.BusError if there is none."""

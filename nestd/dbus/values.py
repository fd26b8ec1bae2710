# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plain values that this floor exchanges with others: calls, signals, variants.

Values of D-Bus types are plain Python: str for s, o and g; bool, int, float; bytes for ay; dict for
a{..}; received structs are tuples and other arrays lists, either may be sent for both; Variant for
v; an open file descriptor for h, which can only be sent: the sender gives it away, and it is closed
after sending, or if it cannot be sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Variant:
    """A value that carries its own type; signature is one complete type."""

    __slots__ = ("signature", "value")
    signature: str
    value: object


@dataclass(frozen=True)
class Call:
    """A method call as its handler sees it."""

    sender: str  # unique name, set by the bus: cannot be forged
    path: str
    interface: str  # resolved, also where the caller left it out
    member: str
    args: tuple[object, ...]
    interactive: bool  # the caller allows a prompt (ALLOW_INTERACTIVE_AUTHORIZATION)


@dataclass(frozen=True)
class Signal:
    """A signal that a subscription asked for."""

    sender: str  # unique name, or org.freedesktop.DBus
    path: str
    interface: str
    member: str
    args: tuple[object, ...]


@dataclass(frozen=True)
class Route:
    """The handler of a call, with the types that its body must have.

    An inline route is a plain function that answers at once, or returns None if it cannot: the call
    then takes the route `otherwise`. Any other is a coroutine function, run as a task that counts
    against the caller's limit. One that reads changes nothing: a call without a reply need not be
    made.
    """

    interface: str
    in_signature: str
    out_signature: str
    run: Callable[[Call], Sequence[object] | Awaitable[Sequence[object]] | None]
    inline: bool = False
    otherwise: Route | None = None
    reads: bool = False


Resolve = Callable[[str, str, str], Route]
"""(path, interface or "", member) -> Route; raises errors.BusError for what is not there."""

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tracks the clients with calls in progress, their limits, and whether they have left the bus."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nestd.dbus.errors import LIMITS_EXCEEDED, BusError

MAX_CALLS_PER_SENDER = 16
MAX_CALLS = 1024
MAX_BYTES = 5 << 19
"""Bytes, over all calls in progress."""
_SMALL = 4096
"""Bytes; a call up to this size is admitted from a sender without others in progress, even beyond
the common limits."""


@dataclass
class _Caller:
    calls: int = 0
    gone: bool = False
    event: asyncio.Event | None = None


class Callers:
    """The accounts of all clients with a call in progress or a watch."""

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}
        self._calls = 0
        self._bytes = 0

    def admit(self, sender: str, size: int) -> None:
        """Admit a call of SIZE bytes; raises BusError LimitsExceeded."""
        caller = self._callers.get(sender)
        if caller and caller.calls >= MAX_CALLS_PER_SENDER:
            text = f"You already have {MAX_CALLS_PER_SENDER} calls in progress."
            raise BusError(LIMITS_EXCEEDED, text)
        full = self._calls >= MAX_CALLS or (self._calls and self._bytes + size > MAX_BYTES)
        if full and ((caller and caller.calls) or size > _SMALL):
            raise BusError(LIMITS_EXCEEDED, "Too many calls are in progress: try again later.")
        self._callers.setdefault(sender, _Caller()).calls += 1
        self._calls += 1
        self._bytes += size

    def release(self, sender: str, size: int) -> None:
        """End an admitted call."""
        caller = self._callers[sender]
        caller.calls -= 1
        self._calls -= 1
        self._bytes -= size
        self._forget(sender, caller)

    def vanished(self, sender: str) -> asyncio.Event:
        """An event that is set once this client has left the bus.

        Raises LookupError unless one of its calls is in progress, since its departure may have gone
        unnoticed. The event outlives the call.
        """
        caller = self._callers[sender]
        if caller.event is None:
            caller.event = asyncio.Event()
            if caller.gone:
                caller.event.set()
        return caller.event

    def left(self, sender: str) -> None:
        """Note that this client has left the bus."""
        caller = self._callers.get(sender)
        if caller is None:
            return
        caller.gone = True
        if caller.event:
            caller.event.set()
        self._forget(sender, caller)

    def _forget(self, sender: str, caller: _Caller) -> None:
        watched = caller.event is not None and not caller.gone
        if not caller.calls and not watched:
            del self._callers[sender]

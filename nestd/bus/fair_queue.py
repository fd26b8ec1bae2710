# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls that have arrived and wait for their turn: one of each sender, round and round.

The bus passes the calls of all its clients on in the order in which they came. Whoever sends ten
thousand calls in one go would have everybody else wait for the answers to all of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Optional

from nestd.bus.messages import Header
from nestd.bus.wire import LIMITS_EXCEEDED, BusError

MAX_BYTES = 4 << 20
"""Memory for all calls that wait; one sender has half of it at most."""
_SMALL = 4096  # bytes; such a call is taken from whoever has none waiting
_OVERHEAD = 1024  # bytes of memory for one, beside its own

Waiting = tuple[Header, Optional[bytes]]
"""A call's header and the whole message, None where that was too long to be read."""


@dataclass
class _Sender:
    calls: deque[Waiting] = field(default_factory=deque)
    size: int = 0


class FairQueue:
    """The calls that wait."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}  # in the order of their turns
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._senders)

    def put(self, header: Header, message: bytes | None) -> None:
        """Have a call wait. Raises BusError LimitsExceeded where too much waits already."""
        size = _size(message)
        sender = self._senders.get(header.sender)
        mine = sender.size if sender else 0
        fits = mine + size <= MAX_BYTES // 2 and self._size + size <= MAX_BYTES
        if not fits and (sender or size > _SMALL):
            raise BusError(LIMITS_EXCEEDED, "Too many calls are waiting, try again later.")
        if sender is None:
            sender = self._senders[header.sender] = _Sender()
        sender.calls.append((header, message))
        sender.size += size
        self._size += size

    def take(self) -> Waiting:
        """The call whose turn it is; raises StopIteration where none waits."""
        name = next(iter(self._senders))
        sender = self._senders.pop(name)
        header, message = sender.calls.popleft()
        size = _size(message)
        sender.size -= size
        self._size -= size
        if sender.calls:
            self._senders[name] = sender  # behind all the others
        return header, message

    def drop(self, name: str) -> None:
        """The sender has left: nobody waits for the answers."""
        sender = self._senders.pop(name, None)
        if sender is not None:
            self._size -= sender.size


def _size(message: bytes | None) -> int:
    return _OVERHEAD + len(message or b"")

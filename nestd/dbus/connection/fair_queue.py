# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls that have arrived and wait for their turn: one of each sender, round and round.

The bus passes the calls of all its clients on in the order in which they came. Whoever sends ten
thousand calls in one go would have everybody else wait for the answers to all of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Optional

from nestd.dbus.connection.messages import Header

MAX_BYTES = 4 << 20
"""Memory for all calls that wait; one sender has half of it at most."""
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

    def put(self, header: Header, message: bytes | None) -> list[Header]:
        """Have a call wait; the calls for which there is no room, the latest of who has most."""
        name, size = header.sender, _size(message)
        sender = self._senders.setdefault(name, _Sender())
        sender.calls.append((header, message))
        sender.size += size
        self._size += size
        refused = []
        while sender.size > MAX_BYTES // 2 or self._size > MAX_BYTES:
            own = sender.size > MAX_BYTES // 2
            refused.append(self._refuse_latest(name if own else self._greediest()))
        return refused

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

    def _greediest(self) -> str:
        return max(self._senders, key=lambda name: self._senders[name].size)

    def _refuse_latest(self, name: str) -> Header:
        sender = self._senders[name]
        header, message = sender.calls.pop()
        sender.size -= _size(message)
        self._size -= _size(message)
        if not sender.calls:
            del self._senders[name]
        return header


def _size(message: bytes | None) -> int:
    return _OVERHEAD + len(message or b"")

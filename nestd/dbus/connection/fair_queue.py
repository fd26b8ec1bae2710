# SPDX-License-Identifier: LGPL-2.1-or-later
"""A queue of incoming calls that serves users round-robin.

The bus delivers the calls of all clients in the order of arrival, so one client that sends ten
thousand calls at once would make all others wait for the answers. A sender whose user is not known
counts as a user of its own; the senders of one user take turns as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Optional, Union

from nestd.dbus.connection.messages import Header

MAX_BYTES = 4 << 20
"""Bytes of memory for all waiting calls; one sender may use half of it."""
_OVERHEAD = 1024  # bytes of memory for a call in addition to its message

Waiting = tuple[Header, Optional[bytes]]
"""A call's header and the whole message, None if it was too long to be read."""
User = Union[int, str]
"""A user id, or the unique name of a sender whose user id is not known."""


@dataclass
class _Sender:
    calls: deque[Waiting] = field(default_factory=deque)
    size: int = 0


class FairQueue:
    """The waiting calls."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}
        self._users: dict[str, int] = {}  # of senders that have been looked up
        self._turns: dict[User, dict[str, None]] = {}  # users and their senders, both in order
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._senders)

    def user_of(self, name: str) -> User:
        """The user that a sender counts for."""
        return self._users.get(name, name)

    def waiting(self, name: str) -> int:
        """The number of a sender's waiting calls."""
        sender = self._senders.get(name)
        return 0 if sender is None else len(sender.calls)

    def put(self, header: Header, message: bytes | None) -> list[Header]:
        """Add a call; returns the calls to refuse: the latest of the sender with most bytes."""
        name, size = header.sender, _size(message)
        sender = self._senders.get(name)
        if sender is None:
            sender = self._senders[name] = _Sender()
            self._turns.setdefault(self.user_of(name), {})[name] = None
        sender.calls.append((header, message))
        sender.size += size
        self._size += size
        refused = []
        while sender.size > MAX_BYTES // 2 or self._size > MAX_BYTES:
            own = sender.size > MAX_BYTES // 2
            refused.append(self._refuse_latest(name if own else self._greediest()))
        return refused

    def take(self, passes: Callable[[User], bool] = lambda user: False) -> Waiting:
        """Remove and return the call whose turn it is, skipping users for which PASSES is true.

        Raises StopIteration if there is none.
        """
        user = next(each for each in self._turns if not passes(each))
        names = self._turns.pop(user)
        name = next(iter(names))
        del names[name]
        sender = self._senders[name]
        header, message = sender.calls.popleft()
        size = _size(message)
        sender.size -= size
        self._size -= size
        if sender.calls:
            names[name] = None  # behind all the others of the user
        else:
            del self._senders[name]
        if names:
            self._turns[user] = names  # behind all the others
        return header, message

    def belongs(self, name: str, uid: int) -> None:
        """Note that the sender belongs to this user."""
        if name in self._senders:
            self._forget_turn(name)
            self._turns.setdefault(uid, {})[name] = None
        self._users[name] = uid

    def drop(self, name: str) -> None:
        """Drop the calls of a sender that has left."""
        sender = self._senders.pop(name, None)
        if sender is not None:
            self._size -= sender.size
            self._forget_turn(name)
        self._users.pop(name, None)

    def _greediest(self) -> str:
        return max(self._senders, key=lambda name: self._senders[name].size)

    def _refuse_latest(self, name: str) -> Header:
        sender = self._senders[name]
        header, message = sender.calls.pop()
        sender.size -= _size(message)
        self._size -= _size(message)
        if not sender.calls:
            del self._senders[name]
            self._forget_turn(name)
        return header

    def _forget_turn(self, name: str) -> None:
        user = self.user_of(name)
        names = self._turns[user]
        del names[name]
        if not names:
            del self._turns[user]


def _size(message: bytes | None) -> int:
    return _OVERHEAD + len(message or b"")

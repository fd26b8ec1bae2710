# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that inhibit reloads, each for as long as its descriptor is open anywhere."""

from __future__ import annotations

import asyncio
import os
import select
from dataclasses import dataclass
from typing import Callable

from nestd.core.errors import LimitsExceeded
from nestd.core.model import Blocker, BlockerKind

MOST = 256
MOST_PER_USER = 16


@dataclass(frozen=True)
class Inhibitor:
    """Who inhibits reloads, why, and as which user and process."""

    who: str
    why: str
    uid: int
    pid: int


class Inhibitors:
    """The active inhibitors."""

    def __init__(self) -> None:
        self._inhibitors: dict[int, Inhibitor] = {}  # by the read end of its pipe
        # Not the loop's own reader: it also reports data, so a client that writes would wake it
        # forever.
        self._hang_ups = select.epoll()
        asyncio.get_running_loop().add_reader(self._hang_ups, self._hung_up)
        self.on_release: list[Callable[[], None]] = []
        self.on_change: list[Callable[[], None]] = []  # called when one was added or removed

    def add(self, inhibitor: Inhibitor) -> int:
        """Add INHIBITOR; the caller owns the returned descriptor. Raises LimitsExceeded."""
        mine = [each for each in self._inhibitors.values() if each.uid == inhibitor.uid]
        if len(self._inhibitors) >= MOST or len(mine) >= MOST_PER_USER:
            raise LimitsExceeded(
                f"There are too many inhibitors: {MOST_PER_USER} for each user, {MOST} in all."
            )
        # The client gets the write end; the read end shows when its last copy is closed.
        ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._inhibitors[ours] = inhibitor
        self._hang_ups.register(ours, 0)  # EPOLLHUP is always reported
        self._announce()
        return theirs

    def list(self) -> tuple[Inhibitor, ...]:
        """All inhibitors, oldest first."""
        return tuple(self._inhibitors.values())

    def blockers(self) -> tuple[Blocker, ...]:
        """The inhibitors as blockers of a reload."""
        return tuple(
            Blocker(BlockerKind.INHIBITOR, each.who, each.pid, each.why) for each in self.list()
        )

    def close(self) -> None:
        """Remove all; none can be added afterwards."""
        for descriptor in tuple(self._inhibitors):
            self._release(descriptor)
        asyncio.get_running_loop().remove_reader(self._hang_ups)
        self._hang_ups.close()

    def _hung_up(self) -> None:
        """Remove the inhibitors whose write ends are all closed."""
        for descriptor, _ in self._hang_ups.poll(0):
            self._release(descriptor)
        self._announce()
        for listener in self.on_release:
            listener()

    def _announce(self) -> None:
        for listener in self.on_change:
            listener()

    def _release(self, descriptor: int) -> None:
        self._hang_ups.unregister(descriptor)
        os.close(descriptor)
        del self._inhibitors[descriptor]

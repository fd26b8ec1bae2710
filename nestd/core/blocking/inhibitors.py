# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that inhibit reloads, each for as long as its descriptor is open anywhere."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Callable

from nestd.core.errors import LimitsExceeded
from nestd.core.model import Blocker, BlockerKind

MOST = 256
MOST_PER_USER = 16


@dataclass(frozen=True)
class Inhibitor:
    """Who asked, why, and as which user and process."""

    who: str
    why: str
    uid: int
    pid: int


class Inhibitors:
    """The inhibitors that there are."""

    def __init__(self) -> None:
        self._inhibitors: dict[int, Inhibitor] = {}  # by the read end of its pipe
        self.on_release: list[Callable[[], None]] = []
        self.on_change: list[Callable[[], None]] = []  # one came or went

    def add(self, inhibitor: Inhibitor) -> int:
        """Add INHIBITOR; the caller owns the returned descriptor. Raises LimitsExceeded."""
        mine = [each for each in self._inhibitors.values() if each.uid == inhibitor.uid]
        if len(self._inhibitors) >= MOST or len(mine) >= MOST_PER_USER:
            raise LimitsExceeded(
                f"There are too many inhibitors: {MOST_PER_USER} for each user, {MOST} in all."
            )
        # The write end goes to the client; the read end tells when its last copy is closed.
        ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._inhibitors[ours] = inhibitor
        asyncio.get_running_loop().add_reader(ours, self._readable, ours)
        self._announce()
        return theirs

    def list(self) -> tuple[Inhibitor, ...]:
        """All of them, oldest first."""
        return tuple(self._inhibitors.values())

    def blockers(self) -> tuple[Blocker, ...]:
        """The inhibitors as blockers of a reload."""
        return tuple(
            Blocker(BlockerKind.INHIBITOR, each.who, each.pid, each.why) for each in self.list()
        )

    def close(self) -> None:
        """Forget all."""
        for descriptor in tuple(self._inhibitors):
            self._release(descriptor)

    def _readable(self, descriptor: int) -> None:
        if not os.read(descriptor, 4096):  # a client may write into it; only the end counts
            self._release(descriptor)
            self._announce()
            for listener in self.on_release:
                listener()

    def _announce(self) -> None:
        for listener in self.on_change:
            listener()

    def _release(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        del self._inhibitors[descriptor]

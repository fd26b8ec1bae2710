# SPDX-License-Identifier: LGPL-2.1-or-later
"""Retries failed roll-backs, since the host may be without KVM until one works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from nestd.core.errors import NotRestored, ReloadFailed, RolledBack
from nestd.core.reloads.transaction import Transaction

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""After a failure no hint counts for so long: whoever is told of it finds what they were told."""
Undo = Callable[[Transaction], Awaitable[None]]
"""Undo a transaction; raises RolledBack on success, else NotRestored or ReloadFailed."""


class RetryUndo:
    """The transactions still to be undone; each hint of a change triggers another attempt."""

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._broken: dict[int, Transaction] = {}  # by job
        self._task: asyncio.Task[None] | None = None
        self._pause_ends = 0.0

    def add(self, transaction: Transaction) -> None:
        """Retry TRANSACTION after a pause, and at each later hint."""
        self._broken[transaction.job] = transaction
        loop = asyncio.get_running_loop()
        self._pause_ends = loop.time() + PAUSE_SECONDS
        loop.call_at(self._pause_ends, self.wake)

    def has(self, transaction: Transaction) -> bool:
        """Whether exactly this transaction is still to be undone."""
        return self._broken.get(transaction.job) is transaction

    def drop(self, modules: Collection[str]) -> tuple[Transaction, ...]:
        """Drop the transactions that concern any of MODULES; returns them."""
        found = [
            each for each in self._broken.values() if not set(modules).isdisjoint(each.modules)
        ]
        for each in found:
            del self._broken[each.job]
        return tuple(found)

    def wake(self) -> None:
        """Try again, since something has changed."""
        loop = asyncio.get_running_loop()
        pausing = loop.time() < self._pause_ends
        if self._broken and not pausing and (self._task is None or self._task.done()):
            self._task = loop.create_task(self._try_all())

    async def close(self) -> None:
        """Stop trying; the records stay for the next start."""
        self._broken.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _try_all(self) -> None:
        for transaction in tuple(self._broken.values()):
            try:
                await self._undo(transaction)
            except RolledBack:
                if self.has(transaction):
                    log.warning("%s is as before the change that failed", transaction.module)
                    del self._broken[transaction.job]
            except (NotRestored, ReloadFailed) as error:
                log.debug("Still not: %s", error)

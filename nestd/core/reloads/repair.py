# SPDX-License-Identifier: LGPL-2.1-or-later
"""Going on trying where a reload failed and could not be undone: this host may have no KVM."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from nestd.core.errors import ReloadFailed, RolledBack
from nestd.core.reloads.transaction import Transaction

log = logging.getLogger(__name__)

Undo = Callable[[Transaction], Awaitable[None]]
"""Undo a transaction; raises RolledBack where that worked, ReloadFailed where it did not."""


class Repair:
    """The transactions that are still to be undone, by module; each hint is another occasion."""

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._broken: dict[str, Transaction] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, transaction: Transaction) -> None:
        """Try again with TRANSACTION at the next event of a module or a processor."""
        self._broken[transaction.module] = transaction

    def get(self, module: str) -> Transaction | None:
        """What is still to be undone for MODULE."""
        return self._broken.get(module)

    def drop(self, module: str) -> Transaction | None:
        """Try no more with MODULE; the transaction that was to be undone."""
        return self._broken.pop(module, None)

    def wake(self) -> None:
        """Something has changed: try."""
        if self._broken and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._try_all())

    async def close(self) -> None:
        """Stop trying; the records stay for the next start."""
        self._broken.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _try_all(self) -> None:
        for module, transaction in tuple(self._broken.items()):
            try:
                await self._undo(transaction)
            except RolledBack:
                if self.get(module) is transaction:
                    log.warning("%s is loaded again after the reload that failed", module)
                    self.drop(module)
            except ReloadFailed as error:
                log.debug("Still not: %s", error)

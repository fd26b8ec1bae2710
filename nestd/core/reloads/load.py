# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loads unloaded modules: all of them, verified, or none."""

from __future__ import annotations

import contextlib

from nestd.core.errors import NotRestored, RolledBack, write_failed
from nestd.core.model import JobState
from nestd.core.reloads.execution import Execution, reason
from nestd.core.reloads.transaction import Transaction


class Load:
    """Carries out one Transaction for a load, through an Execution."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def run(self, transaction: Transaction) -> None:
        """Load its members and verify them. Raises RolledBack or NotRestored."""
        execution = self._execution
        try:
            await execution.record(transaction.at(JobState.LOADING))
            await execution.load_all(transaction)
            await execution.verify(transaction)
        except OSError as error:
            await self._unload(transaction)
            raise write_failed(error) from error
        except Exception as error:
            await self._unload(transaction)
            text = f"{transaction.module} was not loaded: {reason(error)}."
            raise RolledBack(text) from error
        finally:
            await execution.finish(transaction)

    async def _unload(self, transaction: Transaction) -> None:
        """Unload the members already loaded. Raises NotRestored if something uses one by now."""
        with contextlib.suppress(OSError):
            await self._execution.unload_all(transaction)
        loaded = self._execution.loaded(transaction)
        if loaded:
            raise NotRestored(
                f"{transaction.module} was not loaded as asked, but"
                f" {' and '.join(loaded)} is loaded by now and in use."
            )

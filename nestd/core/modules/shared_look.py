# SPDX-License-Identifier: LGPL-2.1-or-later
"""A look at the host that takes its time, in a worker thread, shared by all who want one.

However many ask at once, there is one look at a time; nobody gets one that began before they asked.
"""

from __future__ import annotations

import asyncio
from typing import Callable, Generic, TypeVar

_Seen = TypeVar("_Seen")


class SharedLook(Generic[_Seen]):
    """The looks that FUNCTION takes."""

    def __init__(self, function: Callable[[], _Seen]) -> None:
        self._function = function
        self._current: asyncio.Task[_Seen] | None = None
        self._next: asyncio.Task[_Seen] | None = None

    async def __call__(self) -> _Seen:
        """What is seen from now on; raises what the function does."""
        if self._next is None:
            self._next = asyncio.create_task(self._look(self._current))
        # Whoever gives up does not end the look for the others.
        return await asyncio.shield(self._next)

    async def _look(self, before: asyncio.Task[_Seen] | None) -> _Seen:
        if before is not None:
            await asyncio.wait({before})
        self._current, self._next = self._next, None
        return await asyncio.to_thread(self._function)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a slow look at the host in a worker thread and shares the result between callers.

There is one look at a time, and no caller gets the result of a look that began before its call.
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

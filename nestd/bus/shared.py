# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answers that cost something, shared by all who ask for the same while one is being worked out.

Nobody gets an answer on which the work began before they asked. While there is always somebody who
asks, the work rests as long as it took: at most half of the event loop's time goes into it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence

Answer = Sequence[object]
_LONGEST_REST = 0.1  # seconds


class SharedAnswers:
    """The answers that are being worked out, by what they are to."""

    def __init__(self) -> None:
        self._current: dict[Hashable, asyncio.Task[Answer]] = {}
        self._next: dict[Hashable, asyncio.Task[Answer]] = {}

    async def get(self, key: Hashable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What WORK gives from now on; KEY stands for the question and for what the caller may
        see. Raises what the work does.
        """
        if key not in self._next:
            self._next[key] = asyncio.ensure_future(self._work_out(key, work))
        # Whoever gives up does not end the work for the others.
        return await asyncio.shield(self._next[key])

    async def _work_out(self, key: Hashable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        before = self._current.get(key)
        if before is not None:
            started = time.monotonic()
            await asyncio.wait({before})
            await asyncio.sleep(min(time.monotonic() - started, _LONGEST_REST))
        task = self._current[key] = self._next.pop(key)
        try:
            return await work()
        finally:
            if self._current.get(key) is task:
                del self._current[key]

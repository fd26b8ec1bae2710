# SPDX-License-Identifier: LGPL-2.1-or-later
"""Expensive work, done once for all concurrent callers.

Only one run is active at a time, and no caller gets the result of a run that began before its call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Hashable
from typing import Callable, Generic, TypeVar

_LONGEST_PAUSE = 0.1  # seconds
_Result = TypeVar("_Result")


class SharedWork(Generic[_Result]):
    """Shares the runs of WORK.

    With PAUSES, a run that had to wait for the previous one also pauses for as long as it waited,
    at most 0.1 s: under constant requests the work takes at most half of the event loop's time.
    """

    def __init__(self, work: Callable[[], Awaitable[_Result]], *, pauses: bool = False) -> None:
        self._work = work
        self._pauses = pauses
        self._current: asyncio.Task[_Result] | None = None
        self._next: asyncio.Task[_Result] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody is waiting for a result."""
        return self._next is None and (self._current is None or self._current.done())

    async def __call__(self) -> _Result:
        """The result of a run that begins now or later; raises the work's exceptions."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._current))
        # A caller that is cancelled does not end the run for the others.
        return await asyncio.shield(self._next)

    async def _run(self, before: asyncio.Task[_Result] | None) -> _Result:
        if before is not None and not before.done():
            started = time.monotonic()
            await asyncio.wait({before})
            if self._pauses:
                await asyncio.sleep(min(time.monotonic() - started, _LONGEST_PAUSE))
        self._current, self._next = self._next, None
        return await self._work()


class SharedLook(SharedWork[_Result]):
    """Shares the runs of FUNCTION, a look at the host, in a worker thread."""

    def __init__(self, function: Callable[[], _Result]) -> None:
        super().__init__(lambda: asyncio.to_thread(function))


class SharedAnswers(Generic[_Result]):
    """Answers in progress, each shared by callers with the same question."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, SharedWork[_Result]] = {}

    async def get(self, key: Hashable, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """The result of a run of WORK that begins now or later; raises the work's exceptions.

        KEY identifies the question and what the caller may see: work with the same key has the same
        result.
        """
        shared = self._answers.setdefault(key, SharedWork(work, pauses=True))
        try:
            return await shared()
        finally:
            self._answers = {key: each for key, each in self._answers.items() if not each.is_idle}

    def __len__(self) -> int:
        """The number of answers in progress."""
        return len(self._answers)

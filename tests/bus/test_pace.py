# SPDX-License-Identifier: LGPL-2.1-or-later
"""No user gets more than about half of the event loop's time while others need it."""

from __future__ import annotations

import asyncio
import time

import pytest

from nestd.dbus.connection.fair_queue import User
from nestd.dbus.connection.pace import Pace

STEP = 0.004  # seconds of processor time
CALLS = 12


def work(seconds: float) -> None:
    """Use the processor for that long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def busy(steps: int) -> int:
    for _ in range(steps):
        work(STEP)
        await asyncio.sleep(0)
    return steps


def test_a_hundred_calls_of_one_user_get_no_more_than_one_of_another() -> None:
    """Counted in steps, so that other load on the machine does not matter."""
    done = 0

    async def body() -> None:
        pace, ended = Pace(), asyncio.Event()

        async def greedy() -> None:
            nonlocal done
            while not ended.is_set():
                await pace.run(1000, busy(1))
                done += 1

        clients = [asyncio.ensure_future(greedy()) for _ in range(100)]
        for _ in range(CALLS):
            await pace.run(1001, busy(1))
        ended.set()
        await asyncio.wait(clients)

    asyncio.run(body())
    # All hundred started at once, and each takes its last step at the end.
    assert done < 100 + 8 * CALLS, "without accounts it is a hundred times as many"


def test_what_a_call_returns_and_raises_comes_through() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("x")

    async def body() -> None:
        pace = Pace()
        user: User = 1000
        assert await pace.run(user, busy(3)) == 3
        with pytest.raises(LookupError, match="x"):
            await pace.run(user, fails())
        task = asyncio.ensure_future(pace.run(user, asyncio.sleep(10)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    asyncio.run(body())


def test_calls_at_work_count_for_the_user_once_it_is_known() -> None:
    async def body() -> None:
        pace, sender, user = Pace(), ":1.1", 1000
        somebody_else = asyncio.ensure_future(pace.run(1001, asyncio.sleep(60)))
        await pace.run(user, busy(1))
        calls = [asyncio.ensure_future(pace.run(sender, busy(2))) for _ in range(16)]
        while not pace.is_ahead(sender):
            await asyncio.sleep(0)
        pace.belongs(sender, user)
        assert pace.is_ahead(user), "some of its calls wait for its share"
        await asyncio.wait(calls)
        while pace.is_ahead(user):
            await asyncio.sleep(0.01)
        somebody_else.cancel()

    asyncio.run(asyncio.wait_for(body(), 60))


def test_calls_at_work_take_a_fifth_of_the_time_while_calls_flood_in() -> None:
    steps = 20

    async def body() -> float:
        pace = Pace()
        left = iter(range(steps))

        async def greedy(user: User) -> None:
            for _ in left:
                pace.flood()
                await pace.run(user, busy(1))

        started = time.monotonic()
        await asyncio.gather(*(greedy(f":1.{number}") for number in range(5)))
        return time.monotonic() - started

    assert steps * STEP < 0.4 * asyncio.run(body()), "five users, each alone within its half"

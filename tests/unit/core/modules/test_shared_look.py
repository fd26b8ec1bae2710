# SPDX-License-Identifier: LGPL-2.1-or-later
"""One look at a time, and none that is older than the question."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from nestd.core.modules.shared_look import SharedLook


class Host:
    """Counts looks; the first lasts until it is told to end."""

    def __init__(self) -> None:
        self.looks = 0
        self.at_once = 0
        self.state = 0
        self.go_on = threading.Event()

    def look(self) -> int:
        self.at_once += 1
        assert self.at_once == 1
        self.looks += 1
        seen = self.state
        assert self.go_on.wait(10)
        self.at_once -= 1
        return seen


async def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def test_those_who_ask_together_share_a_look() -> None:
    async def main() -> None:
        host = Host()
        look = SharedLook(host.look)
        first = [asyncio.ensure_future(look()) for _ in range(100)]
        await until(lambda: host.looks == 1)
        host.state = 1
        second = [asyncio.ensure_future(look()) for _ in range(100)]
        host.go_on.set()
        assert set(await asyncio.gather(*first)) == {0}
        assert set(await asyncio.gather(*second)) == {1}
        assert host.looks == 2
        host.state = 2
        assert await look() == 2

    asyncio.run(main())


def test_who_gives_up_leaves_the_others_their_look() -> None:
    async def main() -> None:
        host = Host()
        look = SharedLook(host.look)
        leaving, staying = asyncio.ensure_future(look()), asyncio.ensure_future(look())
        await until(lambda: host.looks == 1)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        host.go_on.set()
        assert await staying == 0

    asyncio.run(main())


def test_a_look_that_fails_fails_for_all_who_share_it_and_not_later() -> None:
    async def main() -> None:
        errors = [OSError("once")]

        def function() -> str:
            if errors:
                raise errors.pop()
            return "seen"

        look = SharedLook(function)
        outcomes = await asyncio.gather(look(), look(), return_exceptions=True)
        assert [type(each) for each in outcomes] == [OSError, OSError]
        assert await look() == "seen"

    asyncio.run(main())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""One run of the work at a time, and no result that is older than the request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from nestd.core.shared_work import SharedAnswers, SharedLook, SharedWork


class Host:
    """Counts looks; the first lasts until it is released."""

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


def test_a_run_that_waited_pauses_for_as_long() -> None:
    async def main() -> None:
        begun = []

        async def work() -> int:
            begun.append(time.monotonic())
            await asyncio.sleep(0.05)
            return len(begun)

        shared = SharedWork(work, pauses=True)
        first = asyncio.ensure_future(shared())
        await until(lambda: bool(begun))
        assert await shared() == 2
        assert await first == 1
        assert begun[1] - begun[0] > 0.09, "0.05 s of work, 0.05 s of rest"

    asyncio.run(main())


def test_answers_are_shared_by_question_and_forgotten() -> None:
    async def main() -> None:
        answers: SharedAnswers[str] = SharedAnswers()
        asked = []

        async def work_out(question: str) -> str:
            asked.append(question)
            await asyncio.sleep(0.01)
            return question.upper()

        def ask(question: str) -> asyncio.Future[str]:
            return asyncio.ensure_future(answers.get(question, lambda: work_out(question)))

        results = await asyncio.gather(*map(ask, "aabba"))
        assert results == list("AABBA")
        assert sorted(asked) == ["a", "b"]
        leaving = ask("a")
        await asyncio.sleep(0)
        leaving.cancel()
        assert await ask("b") == "B"
        await ask("b")
        assert not len(answers), "not even of callers who have left"

    asyncio.run(main())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pipelined calls of a client are all served, however many there are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import nullcontext

from nestd.dbus.connection.callers import MAX_CALLS_PER_SENDER
from nestd.dbus.connection.dispatch import Dispatcher
from nestd.dbus.connection.messages import Header, Outgoing
from nestd.dbus.connection.protocol import encode_call, read_header
from nestd.dbus.values import Call, Route

CALLER = ":1.1"


class Bus:
    """The other end of a dispatcher; it counts the replies."""

    def __init__(self) -> None:
        self.replies: list[bytes] = []
        self.dispatcher = Dispatcher(
            self.send, lambda: False, lambda: 1, self.takes, self.uid_of, nullcontext
        )

    def send(self, message: Outgoing) -> None:
        self.replies.append(message.data)

    async def takes(self, sender: str) -> bool:
        return False

    async def uid_of(self, sender: str) -> int:
        return 1000

    def call(self) -> None:
        message = encode_call(1, "org.example", "/", "org.example", "Work").data
        fields = {**read_header(message).__dict__, "sender": CALLER}
        self.dispatcher.take(Header(**fields), message)

    async def until_answered(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while len(self.replies) < count:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)

    def refused(self) -> int:
        return sum(b"LimitsExceeded" in each for each in self.replies)


def resolve(path: str, interface: str, member: str) -> Route:
    async def run(call: Call) -> Sequence[object]:
        return []

    return Route("org.example", "", "", run)


def test_calls_that_arrive_before_others_have_begun_wait_for_them() -> None:
    """The stream may run again before the tasks of its last run have taken their first step."""

    async def body() -> None:
        bus = Bus()
        bus.dispatcher.resolve = resolve
        for _ in range(3):
            for _ in range(MAX_CALLS_PER_SENDER):
                bus.call()
            bus.dispatcher.turn()
        await bus.until_answered(3 * MAX_CALLS_PER_SENDER)
        assert bus.refused() == 0

    asyncio.run(body())

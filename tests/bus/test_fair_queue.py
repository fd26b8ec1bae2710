# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls that wait: whose turn it is, how many may, and who has left."""

from __future__ import annotations

import pytest
from raw_client import CALL, MEMBER, PATH, SENDER, message

from nestd.bus import protocol
from nestd.bus.fair_queue import MAX_BYTES, FairQueue
from nestd.bus.wire import LIMITS_EXCEEDED, BusError


def put(queue: FairQueue, sender: str, member: str = "M", size: int = 0) -> None:
    data = message(CALL, 1, {PATH: "/x", MEMBER: member, SENDER: sender})
    queue.put(protocol.read_header(data), data + bytes(size))


def take(queue: FairQueue) -> tuple[str, str]:
    header, _ = queue.take()
    return header.sender, header.member


def fill(queue: FairQueue, sender: str, size: int) -> int:
    """How many calls of that size are taken from a sender."""
    count = 0
    while True:
        try:
            put(queue, sender, size=size)
        except BusError as error:
            if error.name != LIMITS_EXCEEDED:
                raise
            return count
        count += 1


def test_each_sender_has_a_turn_and_its_calls_keep_their_order() -> None:
    queue = FairQueue()
    for number in range(3):
        put(queue, ":1.1", f"A{number}")
    put(queue, ":1.2", "B0")
    put(queue, ":1.3", "C0")
    put(queue, ":1.2", "B1")
    found = []
    while queue:
        found.append(take(queue)[1])
    assert found == ["A0", "B0", "C0", "A1", "B1", "A2"]
    with pytest.raises(StopIteration):
        queue.take()


def test_one_sender_gets_half_of_the_room_and_others_the_rest() -> None:
    queue = FairQueue()
    assert 1000 < fill(queue, ":1.1", 0) < MAX_BYTES // 1024
    assert 1000 < fill(queue, ":1.2", 0) < MAX_BYTES // 1024
    # Full: but a small call is taken from everybody.
    for number in range(100):
        assert fill(queue, f":2.{number}", 0) == 1
    with pytest.raises(BusError, match="Too many calls"):
        put(queue, ":1.3", size=100_000)


def test_long_calls_are_limited_too() -> None:
    assert fill(FairQueue(), ":1.1", 1_000_000) == 2


def test_room_is_given_back() -> None:
    queue = FairQueue()
    for _ in range(3):
        count = fill(queue, ":1.1", 5000)
        for _ in range(count):
            take(queue)
        assert not queue
        fill(queue, ":1.2", 5000)
        queue.drop(":1.2")
        queue.drop(":1.9")
        assert not queue
    assert fill(queue, ":1.1", 5000) == count

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queued calls: whose turn it is, how many may wait, and who has disconnected."""

from __future__ import annotations

import pytest
from raw_client import CALL, MEMBER, PATH, SENDER, message

from nestd.dbus.connection import protocol
from nestd.dbus.connection.fair_queue import MAX_BYTES, FairQueue


def put(queue: FairQueue, sender: str, member: str = "M", size: int = 0) -> list[str]:
    """The senders for whom a call is refused."""
    data = message(CALL, 1, {PATH: "/x", MEMBER: member, SENDER: sender})
    return [each.sender for each in queue.put(protocol.read_header(data), data + bytes(size))]


def take(queue: FairQueue) -> tuple[str, str]:
    header, _ = queue.take()
    return header.sender, header.member


def fill(queue: FairQueue, sender: str, size: int) -> int:
    """How many calls of that size a sender may queue before one is refused."""
    count = 0
    while sender not in put(queue, sender, size=size):
        count += 1
    return count


def drain(queue: FairQueue) -> list[str]:
    found = []
    while queue:
        found.append(take(queue)[0])
    return found


def test_each_sender_has_a_turn_and_its_calls_keep_their_order() -> None:
    queue = FairQueue()
    for number in range(3):
        assert put(queue, ":1.1", f"A{number}") == []
    put(queue, ":1.2", "B0")
    put(queue, ":1.3", "C0")
    put(queue, ":1.2", "B1")
    found = []
    while queue:
        found.append(take(queue)[1])
    assert found == ["A0", "B0", "C0", "A1", "B1", "A2"]
    with pytest.raises(StopIteration):
        queue.take()


def test_one_sender_gets_half_of_the_room() -> None:
    assert 1000 < fill(FairQueue(), ":1.1", 0) <= MAX_BYTES // 2 // 1024
    assert fill(FairQueue(), ":1.1", 900_000) == 2


def test_who_has_most_makes_room_for_the_others() -> None:
    queue = FairQueue()
    fill(queue, ":1.1", 0)
    fill(queue, ":1.2", 0)
    for number in range(20):
        for _ in range(20):
            for refused in put(queue, f":2.{number}"):
                assert refused in (":1.1", ":1.2")
    found = drain(queue)
    assert all(found.count(f":2.{number}") == 20 for number in range(20))
    assert abs(found.count(":1.1") - found.count(":1.2")) <= 1


def test_one_long_call_is_refused_rather_than_many_short_ones() -> None:
    queue = FairQueue()
    for number in range(500):
        for _ in range(6):
            assert put(queue, f":1.{number}") == []
    assert put(queue, ":2.1", size=1_900_000) == [":2.1"]
    assert len(drain(queue)) == 3000


def test_room_is_given_back() -> None:
    queue = FairQueue()
    counts = set()
    for _ in range(3):
        counts.add(fill(queue, ":1.1", 5000))
        drain(queue)
        fill(queue, ":1.2", 5000)
        queue.drop(":1.2")
        queue.drop(":1.9")
        assert not queue
    assert len(counts) == 1


def test_a_user_s_senders_share_its_turns() -> None:
    queue = FairQueue()
    for number in range(3):
        queue.belongs(f":1.{number}", 1000)
        put(queue, f":1.{number}", f"A{number}")
        put(queue, f":1.{number}", f"B{number}")
    put(queue, ":2.1", "C0")
    put(queue, ":2.1", "C1")
    put(queue, ":3.1", "D0")
    queue.belongs(":3.1", 1000)  # becomes known while its call waits
    found = []
    while queue:
        found.append(take(queue)[1])
    assert found[:4] == ["A0", "C0", "A1", "C1"]
    assert found[4:] == ["A2", "D0", "B0", "B1", "B2"]


def test_a_user_whose_turn_passes_keeps_its_calls() -> None:
    queue = FairQueue()
    put(queue, ":1.1", "A0")
    put(queue, ":2.1", "B0")
    assert queue.take(lambda user: user == ":1.1")[0].member == "B0"
    with pytest.raises(StopIteration):
        queue.take(lambda user: user == ":1.1")
    assert queue.waiting(":1.1") == 1
    assert take(queue)[1] == "A0"

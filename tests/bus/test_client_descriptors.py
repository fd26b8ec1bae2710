# SPDX-License-Identifier: LGPL-2.1-or-later
"""Descriptors in answers: a client that asks for one gets it, nobody else ever does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from typing import Callable

import pytest
import toy_service
from toy_process import Toy

from nestd.bus import wire
from nestd.bus.transport import Connection
from nestd.bus.wire import BusError


def _with_client(
    toy: Toy, use: Callable[[Connection], Awaitable[None]], *, take_descriptors: bool = True
) -> None:
    async def run() -> None:
        client = await Connection.connect(toy.bus.address, take_descriptors=take_descriptors)
        await use(client)
        client.close()

    asyncio.run(run())


async def _open_pipe(client: Connection, *, take_descriptor: bool) -> tuple[object, ...]:
    return await client.call(
        toy_service.NAME,
        toy_service.ROOT,
        toy_service.NAME,
        "OpenPipe",
        take_descriptor=take_descriptor,
    )


def _open_here() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_client_gets_the_descriptor_that_it_asks_for(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        (descriptor,) = await _open_pipe(client, take_descriptor=True)
        assert isinstance(descriptor, int)
        assert not os.get_inheritable(descriptor)
        os.set_blocking(descriptor, True)
        assert os.read(descriptor, 100) == b"through a pipe"
        os.close(descriptor)

    _with_client(toy, use)


def test_a_descriptor_that_nobody_asked_for_is_refused_and_closed(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        before = _open_here()
        for _ in range(3):
            with pytest.raises(BusError, match="carries file descriptors"):
                await _open_pipe(client, take_descriptor=False)
        assert _open_here() == before

    _with_client(toy, use)


def test_a_connection_that_takes_none_never_has_one(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        before = _open_here()
        with pytest.raises(BusError, match="no file descriptor"):
            await _open_pipe(client, take_descriptor=True)
        assert _open_here() == before

    _with_client(toy, use, take_descriptors=False)


def test_an_answer_without_a_descriptor_and_an_error_are_told_apart(toy: Toy) -> None:
    async def use(client: Connection) -> None:
        at = (toy_service.NAME, toy_service.ROOT, toy_service.NAME)
        with pytest.raises(BusError, match="no file descriptor"):
            await client.call(*at, "Echo", "s", ["x"], take_descriptor=True)
        with pytest.raises(BusError) as refused:
            await client.call(*at, "NoSuchMethod", take_descriptor=True)
        assert refused.value.name == wire.UNKNOWN_METHOD
        assert await client.call(*at, "Echo", "s", ["still well"]) == ("still well",)

    _with_client(toy, use)

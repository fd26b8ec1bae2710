# SPDX-License-Identifier: LGPL-2.1-or-later
"""A writer to a client that does not read gives up in time, and at once when told to."""

from __future__ import annotations

import os
import threading
import time

import pytest

from nestd.host.collect.timed_pipe import Cancelled, TimedPipe, WriteTimeout

MORE_THAN_A_PIPE_HOLDS = bytes(8 << 20)


def test_what_is_written_can_be_read() -> None:
    pipe = TimedPipe(10)
    found = []

    def read() -> None:
        with open(pipe.take_read_end(), "rb") as file:
            found.append(file.read())

    reader = threading.Thread(target=read)
    reader.start()
    pipe.write(MORE_THAN_A_PIPE_HOLDS)
    pipe.write(b"")
    pipe.close()
    reader.join()
    assert found == [MORE_THAN_A_PIPE_HOLDS]


def test_a_client_that_never_reads() -> None:
    pipe = TimedPipe(0.2)
    started = time.monotonic()
    with pytest.raises(WriteTimeout):
        pipe.write(MORE_THAN_A_PIPE_HOLDS)
    assert 0.1 < time.monotonic() - started < 5
    os.close(pipe.take_read_end())
    pipe.close()


def test_a_client_that_reads_a_byte_now_and_then() -> None:
    """The limit applies to a whole write: reading single bytes does not extend it."""
    pipe = TimedPipe(0.5)
    stop = threading.Event()

    def sip() -> None:
        while not stop.wait(0.02):
            os.read(pipe.take_read_end(), 4096)

    reader = threading.Thread(target=sip)
    reader.start()
    try:
        with pytest.raises(WriteTimeout):
            pipe.write(MORE_THAN_A_PIPE_HOLDS)
    finally:
        stop.set()
        reader.join()
    os.close(pipe.take_read_end())
    pipe.close()


def test_a_client_that_went_away() -> None:
    pipe = TimedPipe(30)
    threading.Timer(0.1, os.close, [pipe.take_read_end()]).start()
    with pytest.raises(BrokenPipeError):
        pipe.write(MORE_THAN_A_PIPE_HOLDS)
    pipe.close()


def test_cancelled_from_another_thread() -> None:
    pipe = TimedPipe(30)
    threading.Timer(0.1, pipe.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        pipe.write(MORE_THAN_A_PIPE_HOLDS)
    with pytest.raises(Cancelled):
        pipe.write(b"x")
    assert time.monotonic() - started < 5
    os.close(pipe.take_read_end())
    pipe.close()

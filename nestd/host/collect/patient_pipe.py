# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pipe to a client that is not trusted to read: written by a worker thread, never for ever."""

from __future__ import annotations

import os
import select
import time


class Stalled(Exception):
    """The client did not read for too long."""


class GivenUp(Exception):
    """cancel() was called."""


class PatientPipe:
    """Each write has PATIENCE seconds. The read end is the client's: take it with give_away()."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._given_up = False
        self._theirs, self._ours = os.pipe2(os.O_CLOEXEC)
        self._alarm, self._raise_alarm = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Of the write end alone: each end is an open file of its own.
        os.set_blocking(self._ours, False)

    def give_away(self) -> int:
        """The read end, from now on the caller's."""
        return self._theirs

    def write(self, data: bytes) -> None:
        """Write all of DATA. Raises Stalled, GivenUp, and BrokenPipeError where nobody can read."""
        deadline = time.monotonic() + self._patience
        rest = memoryview(data)
        while True:
            self.check()
            try:
                rest = rest[os.write(self._ours, rest) :] if rest else rest
            except BlockingIOError:
                self._wait(deadline)
            if not rest:
                return

    def check(self) -> None:
        """Raises GivenUp after cancel()."""
        if self._given_up:
            raise GivenUp

    def cancel(self) -> None:
        """End a write(), and let all later ones fail. For other threads."""
        if not self._given_up:
            self._given_up = True
            os.write(self._raise_alarm, b"!")

    def close(self) -> None:
        """Our ends; the client reads the end of the stream then."""
        for descriptor in (self._ours, self._alarm, self._raise_alarm):
            os.close(descriptor)

    def _wait(self, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._ours, select.POLLOUT)
        poll.register(self._alarm, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise Stalled

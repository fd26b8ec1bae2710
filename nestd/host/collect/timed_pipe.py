# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pipe to a client that may never read: a worker thread writes to it with a time limit."""

from __future__ import annotations

import os
import select
import time


class WriteTimeout(Exception):
    """The client did not read for too long."""


class Cancelled(Exception):
    """cancel() was called."""


class TimedPipe:
    """Each write may take TIMEOUT seconds. take_read_end() returns the client's end."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._cancelled = False
        self._theirs, self._ours = os.pipe2(os.O_CLOEXEC)
        self._alarm, self._raise_alarm = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # This affects only the write end: each end is a separate open file description.
        os.set_blocking(self._ours, False)

    def take_read_end(self) -> int:
        """The read end, which the caller owns from now on."""
        return self._theirs

    def write(self, data: bytes) -> None:
        """Write all of DATA.

        Raises WriteTimeout, Cancelled, and BrokenPipeError if the reader is gone.
        """
        deadline = time.monotonic() + self._timeout
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
        """Raise Cancelled if cancel() was called."""
        if self._cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """Abort another thread's write(), and make all later ones fail."""
        if not self._cancelled:
            self._cancelled = True
            os.write(self._raise_alarm, b"!")

    def close(self) -> None:
        """Close our ends; the client then reads the end of the stream."""
        for descriptor in (self._ours, self._alarm, self._raise_alarm):
            os.close(descriptor)

    def _wait(self, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._ours, select.POLLOUT)
        poll.register(self._alarm, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise WriteTimeout

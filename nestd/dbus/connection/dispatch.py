# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answers method calls, which any local user may send.

A call is routed by its header before its body is read, a body with the wrong signature is never
parsed, and any exception other than BusError is answered with one neutral sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Callable, cast

from nestd.dbus import errors
from nestd.dbus.connection import protocol
from nestd.dbus.connection.callers import Callers
from nestd.dbus.connection.fair_queue import FairQueue
from nestd.dbus.connection.messages import Header, Outgoing, ProtocolError, read_size
from nestd.dbus.connection.pace import Pace
from nestd.dbus.errors import BusError
from nestd.dbus.values import Call, Resolve, Route

_log = logging.getLogger(__name__)

INTERNAL_ERROR = "Internal error; see the journal of nestd."
# Equals the calls that one sender may have in progress: quick ones end before the next turn.
_TURN_CALLS = 16
_TURN_SECONDS = 0.005
MOST_WAITING = 256
"""Calls of one sender that may wait for their turn. Further ones are refused on arrival, which
bounds how long a flood of calls lasts."""
_FLOOD_CALLS = 64  # arriving between two turns
_LOOK_UP_FROM = 4  # waiting calls of a sender from which on its user id is looked up
_LARGE_BODY = 16 << 10  # bytes; up to this size it is read on the loop, in a few milliseconds
_LARGE_SECONDS = 0.5  # enough for a call that does not wait for anything
_AHEAD_SECONDS = 0.005  # until the next look for a sender that is not ahead of its share
_CONGESTED_SECONDS = 0.01  # until the next look whether the bus has read the answers


class Dispatcher:
    """The incoming calls of a connection, from their header to their answer."""

    def __init__(
        self,
        send: Callable[[Outgoing], None],
        is_congested: Callable[[], bool],
        next_serial: Callable[[], int],
        takes_descriptors: Callable[[str], Awaitable[bool]],
        uid_of: Callable[[str], Awaitable[int]],
        gathering: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.resolve: Resolve | None = None
        self._callers = Callers()
        self._send = send
        self._is_congested = is_congested
        self._next_serial = next_serial
        self._takes_descriptors = takes_descriptors
        self._uid_of = uid_of
        self._gathering = gathering
        self._looked_up: set[str] = set()  # senders whose user is known or requested
        self._pace = Pace()
        self._queue = FairQueue()
        self._planned = False
        self._arrived = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._large = asyncio.Lock()

    def take(self, header: Header, message: bytes | None) -> None:
        """Queue a call; message is None if it was too long to be read."""
        if not header.wants_reply and self._changes_nothing(header):
            return
        self._arrived += 1
        waiting = self._queue.waiting(header.sender)
        if waiting >= MOST_WAITING:
            self._answer_error(header, _TOO_MANY)
            return
        for refused in self._queue.put(header, message):
            self._answer_error(refused, _TOO_MANY)
        if waiting >= _LOOK_UP_FROM and header.sender not in self._looked_up:
            self._looked_up.add(header.sender)
            self._start(self._look_up(header.sender))

    def turn(self) -> None:
        """Handle arrived calls whose turn has come."""
        if self._arrived >= _FLOOD_CALLS:
            self._pace.flood()
        self._arrived = 0
        if not self._planned and self._queue:
            self._turn()

    def _changes_nothing(self, header: Header) -> bool:
        """Whether a call only reads or has no handler."""
        try:
            return self.resolve is None or self._route(header).reads
        except BusError:
            return True

    def _route(self, header: Header) -> Route:
        assert self.resolve is not None
        return self.resolve(header.path, header.interface, header.member)

    async def _look_up(self, sender: str) -> None:
        """Look up the user of SENDER; without an answer the sender counts as a user of its own."""
        with contextlib.suppress(BusError):
            uid = await self._uid_of(sender)
            if sender in self._looked_up:
                self._queue.belongs(sender, uid)
                self._pace.belongs(sender, uid)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def vanished(self, sender: str) -> asyncio.Event:
        """See Callers.vanished."""
        return self._callers.vanished(sender)

    def left(self, sender: str) -> None:
        """Note that this client has left the bus."""
        self._looked_up.discard(sender)
        self._queue.drop(sender)
        self._callers.left(sender)

    def close(self) -> None:
        """Drop the waiting calls, as the connection has ended. Calls in progress continue."""
        self._queue = FairQueue()

    def _plan(self, delay: float = 0.0) -> None:
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(delay, self._turn)

    def _turn(self) -> None:
        """Handle a limited number of calls, so that other work on the loop is not delayed."""
        self._planned = False
        end = time.monotonic() + _TURN_SECONDS
        with self._gathering():
            for _ in range(_TURN_CALLS):
                if not self._queue:
                    return
                if self._is_congested():
                    break
                try:
                    waiting = self._queue.take(self._pace.is_ahead)
                except StopIteration:  # all who have calls waiting are ahead of their share
                    self._plan(_AHEAD_SECONDS)
                    return
                self._handle(*waiting)
                if time.monotonic() > end:
                    break
        if self._queue:
            self._plan(_CONGESTED_SECONDS if self._is_congested() else 0.0)

    def _handle(self, header: Header, message: bytes | None) -> None:
        try:
            if self.resolve is None:
                raise BusError(errors.UNKNOWN_OBJECT, "There is no such object.")
            if header.fds:
                raise BusError(errors.INVALID_ARGS, "No method here takes file descriptors.")
            if message is None:
                raise BusError(errors.LIMITS_EXCEEDED, "The message body is longer than 1 MiB.")
            route = self._route(header)
            if route.in_signature != header.signature:
                raise BusError(errors.INVALID_ARGS, _wrong_signature(header, route))
            self._run(header, route, message)
        except BusError as error:
            self._answer_error(header, error)
        except Exception:
            self._answer_unknown(header)

    def _run(self, header: Header, route: Route, message: bytes) -> None:
        """Answer at once, or start a task that does; raises BusError."""
        if route.inline:
            with self._pace.charged(self._queue.user_of(header.sender)):
                result = route.run(_read_call(header, route, message))
                if result is not None or route.otherwise is None:
                    self._answer(header, route, cast("Sequence[object]", result))
                    return
            route = route.otherwise
        self._callers.admit(header.sender, len(message))
        self._start(self._paced(header, route, message))
        self._plan()  # the next turn comes after the call has begun, and a quick one has ended

    async def _paced(self, header: Header, route: Route, message: bytes) -> None:
        user = self._queue.user_of(header.sender)  # looked up again: it may be known by now
        await self._pace.run(user, self._work(header, route, message))

    async def _work(self, header: Header, route: Route, message: bytes) -> None:
        try:
            while self._is_congested():  # congestion may have begun while it waited for its share
                await asyncio.sleep(_CONGESTED_SECONDS)
            if read_size(message).body > _LARGE_BODY:
                await self._serve_large(header, route, message)
            else:
                await self._serve(header, route, _read_soon(header, route, message))
        except asyncio.CancelledError:
            self._answer_error(header, BusError(errors.FAILED, "The call was cancelled."))
            raise
        finally:
            self._callers.release(header.sender, len(message))

    async def _serve_large(self, header: Header, route: Route, message: bytes) -> None:
        """Serve large calls one at a time, since parsed values take much more memory than bytes.

        A call that waits, such as for a password, does not block the next one.
        """
        async with self._large:
            reading = asyncio.ensure_future(asyncio.to_thread(_read_call, header, route, message))
            serving = asyncio.ensure_future(self._serve(header, route, reading))
            await asyncio.wait({reading})
            await asyncio.wait({serving}, timeout=_LARGE_SECONDS)
            del reading
            # Reference cycles of futures and tracebacks keep the values until they are collected.
            gc.collect()
        await serving

    async def _serve(self, header: Header, route: Route, reading: Awaitable[Call]) -> None:
        try:
            call = await reading
            gives = header.wants_reply and "h" in route.out_signature
            if gives and not await self._takes_descriptors(header.sender):
                # The answer would be lost: dbus-broker disconnects the caller instead.
                raise BusError(errors.NOT_SUPPORTED, "The answer is a file descriptor.")
            result = await cast("Awaitable[Sequence[object]]", route.run(call))
            self._answer(header, route, result)
        except BusError as error:
            self._answer_error(header, error)
        except Exception:
            self._answer_unknown(header)

    def _answer(self, header: Header, route: Route, result: Sequence[object]) -> None:
        reply = protocol.encode_reply(self._next_serial(), header, route.out_signature, result)
        if header.wants_reply:
            self._send(reply)
        else:
            reply.close()

    def _answer_error(self, header: Header, error: BusError) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s.%s of %s: %s", header.interface, header.member, header.sender, error)
        if header.wants_reply and header.sender:
            reply = protocol.encode_error(self._next_serial(), header, error.name, error.text)
            self._send(reply)

    def _answer_unknown(self, header: Header) -> None:
        """Log the current exception, which is a bug in nestd; the caller gets no details."""
        _log.exception("%s.%s on %s failed", header.interface, header.member, header.path)
        self._answer_error(header, BusError(errors.FAILED, INTERNAL_ERROR))


async def _read_soon(header: Header, route: Route, message: bytes) -> Call:
    return _read_call(header, route, message)


def _read_call(header: Header, route: Route, message: bytes) -> Call:
    """Read the body of a call whose signature is right; raises BusError."""
    try:
        args = protocol.read_body(message, header)
    except ProtocolError:
        raise BusError(errors.INVALID_ARGS, "The message body cannot be read.") from None
    return Call(
        header.sender, header.path, route.interface, header.member, args, header.interactive
    )


_TOO_MANY = BusError(errors.LIMITS_EXCEEDED, "Too many calls are waiting: try again later.")


def _wrong_signature(header: Header, route: Route) -> str:
    return f'{header.member} takes "{route.in_signature}", not "{header.signature}".'

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answers method calls, of which any user of the machine may send any.

A call is looked up by its header before its body is read, a body of another type than the method
takes is never parsed, and an exception that is no BusError is answered with one neutral sentence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Callable, cast

from nestd.bus import protocol, wire
from nestd.bus.callers import Callers
from nestd.bus.messages import Header, Outgoing, ProtocolError, TooManyValues
from nestd.bus.wire import BusError, Call, Route

_log = logging.getLogger(__name__)

INTERNAL_ERROR = "Internal error; see the journal of nestd."


class Dispatcher:
    """The calls that come in on a connection, from their header to their answer."""

    def __init__(self, send: Callable[[Outgoing], None], next_serial: Callable[[], int]) -> None:
        self.callers = Callers()
        self.resolve: wire.Resolve | None = None
        self._send = send
        self._next_serial = next_serial
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, header: Header, message: bytes | None) -> None:
        """Answer a call, at once or later; message is None where it was too long to be read."""
        try:
            if self.resolve is None:
                raise BusError(wire.UNKNOWN_OBJECT, "There is no such object.")
            if header.fds:
                raise BusError(wire.INVALID_ARGS, "No method here takes file descriptors.")
            if message is None:
                raise BusError(wire.LIMITS_EXCEEDED, "The message body is longer than 1 MiB.")
            route = self.resolve(header.path, header.interface, header.member)
            if route.in_signature != header.signature:
                raise BusError(wire.INVALID_ARGS, _wrong_signature(header, route))
            self._run(header, route, message)
        except BusError as error:
            self._answer_error(header, error)
        except Exception:
            self._answer_unknown(header)

    def _run(self, header: Header, route: Route, message: bytes) -> None:
        """Answer at once, or start the task that will; raises BusError."""
        if route.inline:
            result = route.run(_read_call(header, route, message))
            self._answer(header, route, cast("Sequence[object]", result))
            return
        self.callers.admit(header.sender, len(message))
        try:
            call = _read_call(header, route, message)
        except BaseException:
            self.callers.release(header.sender, len(message))
            raise
        work = self._work(header, route, call, len(message))
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, header: Header, route: Route, call: Call, size: int) -> None:
        try:
            result = await cast("Awaitable[Sequence[object]]", route.run(call))
            self._answer(header, route, result)
        except BusError as error:
            self._answer_error(header, error)
        except asyncio.CancelledError:
            self._answer_error(header, BusError(wire.FAILED, "The call was given up."))
            raise
        except Exception:
            self._answer_unknown(header)
        finally:
            self.callers.release(header.sender, size)

    def _answer(self, header: Header, route: Route, result: Sequence[object]) -> None:
        reply = protocol.encode_reply(self._next_serial(), header, route.out_signature, result)
        if header.wants_reply:
            self._send(reply)
        else:
            reply.close()

    def _answer_error(self, header: Header, error: BusError) -> None:
        _log.debug("%s.%s of %s: %s", header.interface, header.member, header.sender, error)
        if header.wants_reply and header.sender:
            reply = protocol.encode_error(self._next_serial(), header, error.name, error.text)
            self._send(reply)

    def _answer_unknown(self, header: Header) -> None:
        """The exception at work is a bug of ours: for the journal, not for strangers."""
        _log.exception("%s.%s on %s failed", header.interface, header.member, header.path)
        self._answer_error(header, BusError(wire.FAILED, INTERNAL_ERROR))


def _read_call(header: Header, route: Route, message: bytes) -> Call:
    """Read the body of a call of which the type is right; raises BusError."""
    try:
        args = protocol.read_body(message, header)
    except TooManyValues:
        text = f"The message holds more than {protocol.MAX_VALUES} values."
        raise BusError(wire.LIMITS_EXCEEDED, text) from None
    except ProtocolError:
        raise BusError(wire.INVALID_ARGS, "The message body cannot be read.") from None
    return Call(
        header.sender, header.path, route.interface, header.member, args, header.interactive
    )


def _wrong_signature(header: Header, route: Route) -> str:
    return f'{header.member} takes "{route.in_signature}", not "{header.signature}".'

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A connection to the message bus: calls and signals in both directions, names, client exits."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Sequence
from typing import Callable

from nestd.dbus import errors
from nestd.dbus.connection import messages, protocol
from nestd.dbus.connection.dispatch import Dispatcher
from nestd.dbus.connection.matching import MatchRule
from nestd.dbus.connection.messages import Header, ProtocolError
from nestd.dbus.connection.stream import MessageStream
from nestd.dbus.connection.subscriptions import Subscription, Subscriptions
from nestd.dbus.errors import BusError
from nestd.dbus.values import Resolve, Signal

_log = logging.getLogger(__name__)

BUS = "org.freedesktop.DBus"
_BUS_PATH = "/org/freedesktop/DBus"
_PEER = "org.freedesktop.DBus.Peer"
_TAKES_NONE = (errors.NOT_SUPPORTED, errors.FAILED)
"""The errors of dbus-daemon and dbus-broker for a client that accepts no descriptors."""
_DO_NOT_QUEUE = 4
_OWNED = (1, 4)  # primary owner, already owner
_CHANGES = f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged'"


class Connection:
    """Create with connect(); bound to the loop on which it was created."""

    def __init__(self) -> None:
        self.unique_name = ""
        self._loop = asyncio.get_running_loop()
        self._stream: MessageStream
        self._serials = itertools.count()
        self._pending: dict[int, asyncio.Future[tuple[object, ...]]] = {}
        self._takes_descriptor: set[int] = set()  # serials of pending calls
        self._refused: dict[int, bool] = {}  # see _takes_descriptors
        self._dispatcher = Dispatcher(
            lambda reply: self._stream.send(reply),
            lambda: self._stream.is_congested,
            self._next_serial,
            self._takes_descriptors,
            self._uid_of,
            lambda: self._stream.gathering(),
        )
        self._subscriptions = Subscriptions()
        self._end: asyncio.Future[BusError | None] = self._loop.create_future()

    @classmethod
    async def connect(
        cls, address: str | None = None, *, timeout: float = 25.0, take_descriptors: bool = False
    ) -> Connection:
        """Connect and call Hello; None is the system bus, or DBUS_SYSTEM_BUS_ADDRESS if set.

        take_descriptors allows calls with take_descriptor. Raises OSError (TimeoutError after
        timeout seconds), ValueError for the address.
        """
        self = cls()
        opening = MessageStream.connect(
            address,
            self._on_message,
            self._on_lost,
            self._dispatcher.turn,
            take_descriptors=take_descriptors,
        )
        try:
            self._stream = await asyncio.wait_for(opening, timeout)
        except asyncio.TimeoutError:
            raise TimeoutError("the message bus does not answer") from None
        try:
            (self.unique_name,) = await self._call_bus("Hello", timeout=timeout)  # type: ignore[assignment]
            await self._call_bus("AddMatch", "s", f"{_CHANGES},arg2=''", timeout=timeout)
        except BusError as error:
            self.close()
            raise ConnectionError(error.text) from error
        except BaseException:
            self.close()
            raise
        return self

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        args: Sequence[object] = (),
        *,
        timeout: float = 25.0,
        interactive: bool = False,
        take_descriptor: bool = False,
    ) -> tuple[object, ...]:
        """Call a method and return its results. Descriptors in ARGS are closed after sending.

        With take_descriptor the method must return exactly one descriptor, which the caller closes;
        needs connect(take_descriptors=True). Raises BusError: the peer's, NoReply after timeout
        seconds, Disconnected at once if the bus is gone.
        """
        serial = self._next_serial()
        message = protocol.encode_call(
            serial, destination, path, interface, member, signature, args, interactive=interactive
        )
        if self._end.done():
            message.close()
            raise self._gone()
        future: asyncio.Future[tuple[object, ...]] = self._loop.create_future()
        self._pending[serial] = future
        if take_descriptor:
            self._takes_descriptor.add(serial)
        late = BusError(errors.NO_REPLY, f"{destination} did not answer within {timeout:g} s.")
        timer = self._loop.call_later(timeout, _fail, future, late)
        try:
            self._stream.send(message)
            return await future
        finally:
            timer.cancel()
            self._pending.pop(serial, None)
            self._takes_descriptor.discard(serial)

    def emit(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        args: Sequence[object] = (),
    ) -> None:
        """Broadcast a signal unless the bus is gone. Raises ValueError for wrong arguments."""
        message = protocol.encode_signal(
            self._next_serial(), path, interface, member, signature, args
        )
        self._stream.send(message)

    async def request_name(self, name: str) -> bool:
        """Own a well-known name; False if it has another owner. Raises BusError."""
        (answer,) = await self._call_bus("RequestName", "su", name, _DO_NOT_QUEUE)
        return answer in _OWNED

    async def release_name(self, name: str) -> None:
        """Release a name; all earlier messages have then reached the bus. Raises BusError."""
        await self._call_bus("ReleaseName", "s", name)

    def on_call(self, resolve: Resolve) -> None:
        """Answer calls with the routes that RESOLVE returns for (path, interface, member)."""
        self._dispatcher.resolve = resolve

    def vanished(self, sender: str) -> asyncio.Event:
        """An event that is set when the client leaves the bus; see Callers.vanished()."""
        return self._dispatcher.vanished(sender)

    async def subscribe(self, match_rule: str, callback: Callable[[Signal], None]) -> None:
        """Call CALLBACK with each signal that matches the rule, including its sender.

        Raises ValueError for an invalid rule, BusError if the bus refuses it.
        """
        rule = MatchRule.parse(match_rule)
        name = rule.sender
        if name not in ("", BUS) and name[0] != ":" and self._subscriptions.follow(name):
            await self._call_bus("AddMatch", "s", f"{_CHANGES},arg0='{name}'")
            self._subscriptions.owner_is(name, await self._owner_of(name))
        self._subscriptions.add(Subscription(rule, callback))
        await self._call_bus("AddMatch", "s", rule.text)

    async def _owner_of(self, name: str) -> str:
        try:
            (owner,) = await self._call_bus("GetNameOwner", "s", name)
        except BusError as error:
            if error.name == errors.NAME_HAS_NO_OWNER:
                return ""
            raise
        return str(owner)

    async def closed(self) -> None:
        """Wait for the end of the connection; raises BusError Disconnected unless by close()."""
        error = await asyncio.shield(self._end)
        if error:
            raise error

    def close(self) -> None:
        """Close the connection now. Calls in progress continue; their answers are dropped."""
        self._stream.close()
        self._finish(None)

    # Incoming messages

    def _on_message(self, header: Header, message: bytes | None) -> None:
        descriptors = self._stream.descriptors(header) if header.fds else []
        try:
            if header.kind == messages.METHOD_CALL:
                self._dispatcher.take(header, message)
            elif header.kind == messages.SIGNAL:
                self._on_signal(header, message)
            elif header.reply_serial in self._refused:
                takes_none = header.sender == BUS and header.error_name in _TAKES_NONE
                self._refused[header.reply_serial] |= takes_none
            elif header.reply_serial in self._takes_descriptor:
                self._on_descriptor(header, message, descriptors)
            elif header.kind in (messages.METHOD_RETURN, messages.ERROR):
                self._on_reply(header, message)
        except Exception:  # a message must not end the connection, whatever goes wrong here
            _log.exception("A message from %s could not be handled", header.sender)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _on_signal(self, header: Header, message: bytes | None) -> None:
        if message is None or header.fds:
            return
        if header.sender == BUS and header.member == "NameOwnerChanged":
            name, _, owner = (str(arg) for arg in protocol.read_body(message, header))
            self._subscriptions.owner_changed(name, owner)
            if not owner:
                self._dispatcher.left(name)
        concerned = self._subscriptions.concerned(header)
        if concerned:
            args = protocol.read_body(message, header)
            signal = Signal(header.sender, header.path, header.interface, header.member, args)
            for subscription in concerned:
                subscription.deliver(signal)

    def _on_descriptor(self, header: Header, message: bytes | None, descriptors: list[int]) -> None:
        """Handle the answer to a call with take_descriptor; takes the descriptor off the list."""
        if header.kind != messages.METHOD_RETURN:
            self._on_reply(header, message)
            return
        future = self._pending.pop(header.reply_serial, None)
        if future is None or future.done():
            return
        if header.signature == "h" and len(descriptors) == 1:
            future.set_result((descriptors.pop(),))
        else:
            _fail(future, BusError(errors.FAILED, "The answer is not a file descriptor."))

    def _on_reply(self, header: Header, message: bytes | None) -> None:
        future = self._pending.pop(header.reply_serial, None)
        if future is None or future.done():
            return
        try:
            if message is None:
                raise BusError(errors.LIMITS_EXCEEDED, "The answer is longer than 16 MiB.")
            if header.fds:
                raise BusError(errors.FAILED, "The answer carries file descriptors.")
            args = protocol.read_body(message, header)
        except ProtocolError:
            future.set_exception(BusError(errors.FAILED, "The answer cannot be read."))
        except BusError as error:
            future.set_exception(error)
        else:
            if header.kind == messages.ERROR:
                text = args[0] if args and isinstance(args[0], str) else ""
                future.set_exception(BusError(header.error_name, text))
            else:
                future.set_result(args)

    async def _uid_of(self, name: str) -> int:
        """The user id of a client; raises BusError if it is gone."""
        (uid,) = await self._call_bus("GetConnectionUnixUser", "s", name)
        return int(str(uid))

    async def _takes_descriptors(self, name: str) -> bool:
        """Whether the bus would pass a descriptor to a client; True if the bus does not say.

        The bus refuses a call with a descriptor to a client that accepts none, and does so before
        it answers the next call. The client's own answer does not matter.
        """
        serial = self._next_serial()
        descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._refused[serial] = False
        try:
            self._stream.send(
                protocol.encode_call(serial, name, "/", _PEER, "Ping", "h", [descriptor])
            )
            await self._call_bus("GetId")
        except BusError:
            return True
        finally:
            refused = self._refused.pop(serial)
        return not refused

    # The end

    def _on_lost(self, error: Exception) -> None:
        self._finish(BusError(errors.DISCONNECTED, f"The message bus is gone: {error}."))

    def _finish(self, error: BusError | None) -> None:
        if self._end.done():
            return
        self._end.set_result(error)
        self._dispatcher.close()
        for future in self._pending.values():
            _fail(future, self._gone())

    def _gone(self) -> BusError:
        lost = self._end.result()
        return BusError(errors.DISCONNECTED, lost.text if lost else "The connection is closed.")

    def _next_serial(self) -> int:
        return next(self._serials) % 0xFFFFFFFF + 1

    async def _call_bus(
        self, member: str, signature: str = "", *args: object, timeout: float = 25.0
    ) -> tuple[object, ...]:
        return await self.call(BUS, _BUS_PATH, BUS, member, signature, args, timeout=timeout)


def _fail(future: asyncio.Future[tuple[object, ...]], error: BusError) -> None:
    if not future.done():
        future.set_exception(error)

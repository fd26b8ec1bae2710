# SPDX-License-Identifier: LGPL-2.1-or-later
"""Objects removed between a call's arrival and its reply: the caller gets UnknownObject."""

from __future__ import annotations

import asyncio
import os

import pytest
from raw_client import PATH, SENDER, RawClient, string
from toy_process import Toy
from toy_service import NAME, ROOT, Child

from nestd.dbus import errors
from nestd.dbus.connection import messages, protocol
from nestd.dbus.errors import BusError
from nestd.dbus.objects.tree import ObjectTree
from nestd.dbus.values import Call, Resolve, Variant

ERROR = "org.freedesktop.DBus.Error."
PROPERTIES = "org.freedesktop.DBus.Properties"
CHILD = f"{ROOT}/child/x"


def encoded(serial: int, path: str, interface: str, member: str, *args: object) -> bytes:
    """A call to the toy service; the first of ARGS is the signature of the others."""
    types, *values = args
    return protocol.encode_call(serial, NAME, path, interface, member, str(types), values).data


@pytest.mark.parametrize("interface", ["org.example.Child", ""], ids=["named", "left out"])
def test_object_that_is_removed_by_the_call_before(toy: Toy, interface: str) -> None:
    """Both are looked up in one iteration of the loop, when the object still exists."""
    with toy.client() as client:
        client.reply_to(client.call(NAME, ROOT, NAME, "Add", "s", string("x")))
        remove = encoded(client.next_serial(), ROOT, NAME, "Remove", "s", "x")
        serial = client.next_serial()
        change = (interface, "Name", Variant("s", "x"))
        client.send(remove + encoded(serial, CHILD, PROPERTIES, "Set", "ssv", *change))
        assert client.reply_to(serial).error == ERROR + "UnknownObject"
    assert CHILD not in toy.log.read_text()


class _NoBus:
    """The part of a connection that an object tree needs."""

    def on_call(self, resolve: Resolve) -> None:
        self.resolve = resolve

    def emit(self, *signal: object) -> None:
        pass


class _Unsettled:
    """Reading waits until the test allows it."""

    is_settled = False

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def settled(self, call: Call) -> None:
        await self.event.wait()


@pytest.mark.parametrize(
    ("member", "args"),
    [("Get", ("", "Name")), ("Get", ("org.example.Child", "Name")), ("GetAll", ("",))],
)
def test_object_that_goes_while_a_reader_waits(member: str, args: tuple[str, ...]) -> None:
    async def body() -> None:
        bus, unsettled = _NoBus(), _Unsettled()
        tree = ObjectTree(bus, ROOT, settled=unsettled)  # type: ignore[arg-type]
        tree.export(CHILD, [Child("x")])
        route = bus.resolve(CHILD, PROPERTIES, member)
        assert route.otherwise is not None
        reading = asyncio.ensure_future(
            route.otherwise.run(Call(":1.1", CHILD, PROPERTIES, member, args, False))  # type: ignore[arg-type]
        )
        await asyncio.sleep(0)
        tree.unexport(CHILD)
        unsettled.event.set()
        with pytest.raises(BusError) as caught:
            await reading
        assert caught.value.name == errors.UNKNOWN_OBJECT

    asyncio.run(body())


def test_caller_that_cannot_take_descriptors_is_told(toy: Toy) -> None:
    with RawClient(toy.bus.address, timeout=2, takes_descriptors=False) as client:
        for _ in range(3):
            answer = client.reply_to(client.call(NAME, ROOT, NAME, "OpenPipe"))
            assert (answer.error, answer.text) == (
                ERROR + "NotSupported",
                "The answer is a file descriptor.",
            )
        fds = toy.fds()
        client.reply_to(client.call(NAME, ROOT, NAME, "OpenPipe"))
        assert toy.fds() == fds


def test_caller_that_takes_descriptors_gets_it_whatever_it_says(toy: Toy) -> None:
    """It is asked by a call, which it may answer with any error, or not at all."""
    with toy.client() as client:
        serial = client.call(NAME, ROOT, NAME, "OpenPipe")
        asked = client.receive()
        while asked.fields.get(PATH) != "/":
            asked = client.receive()
        [probe] = asked.fds
        os.close(probe)
        header = messages.Header(
            1, asked.serial, "", "", "", "", 0, str(asked.fields[SENDER]), "", 0, True, False
        )
        client.send(
            protocol.encode_error(client.next_serial(), header, ERROR + "Failed", "no").data
        )
        answer = client.reply_to(serial)
        assert answer.error == ""
        [fd] = answer.fds
        assert os.read(fd, 100) == b"through a pipe"
        os.close(fd)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small service on the bus floor, run as a program by the tests: toy_service.py ADDRESS."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence

from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import INVALID_ARGS, BusError
from nestd.dbus.objects.exported import Handler
from nestd.dbus.objects.introspection import parse
from nestd.dbus.objects.tree import Interface, ObjectTree
from nestd.dbus.values import Call

NAME = "org.example.Toy"
ROOT = "/org/example/Toy"
MACHINE_ID = "0123456789abcdef0123456789abcdef"
HEARTBEAT = 0.002
NAME_TAKEN = 3
BUS_GONE = 4

XML = """<node>
  <interface name="org.example.Toy">
    <!-- Comments are not for the bus. -->
    <property name="Version" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
    </property>
    <property name="Count" type="u" access="read"/>
    <property name="Silent" type="i" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
    </property>
    <property name="Large" type="as" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="invalidates"/>
    </property>
    <property name="Rows" type="a(ssus)" access="read"/>
    <property name="Level" type="s" access="readwrite"/>
    <property name="Broken" type="u" access="read"/>
    <method name="Echo">
      <arg name="text" type="s" direction="in"/>
      <arg name="text" type="s" direction="out"/>
    </method>
    <method name="Wait">
      <arg name="milliseconds" type="u" direction="in"/>
      <arg name="sender" type="s" direction="out"/>
      <arg name="interactive" type="b" direction="out"/>
    </method>
    <method name="Options">
      <arg name="text" type="s" direction="in"/>
      <arg name="options" type="a{sv}" direction="in"/>
      <arg name="keys" type="as" direction="out"/>
    </method>
    <method name="Strings">
      <arg name="strings" type="a{ss}" direction="in"/>
      <arg name="count" type="u" direction="out"/>
    </method>
    <method name="Raise">
      <arg name="kind" type="s" direction="in"/>
    </method>
    <method name="Burst">
      <arg name="count" type="u" direction="in"/>
      <arg name="size" type="u" direction="in"/>
    </method>
    <method name="OpenPipe">
      <arg name="reader" type="h" direction="out"/>
    </method>
    <method name="Add">
      <arg name="child" type="s" direction="in"/>
    </method>
    <method name="Remove">
      <arg name="child" type="s" direction="in"/>
    </method>
    <method name="Bump"/>
    <method name="LongestStall">
      <arg name="seconds" type="d" direction="out"/>
    </method>
    <method name="Watch"/>
    <signal name="Tick">
      <arg name="number" type="u"/>
      <arg name="text" type="s"/>
    </signal>
    <signal name="Left">
      <arg name="sender" type="s"/>
    </signal>
  </interface>
</node>
"""


class Child(Interface):
    spec = parse(
        '<node><interface name="org.example.Child">'
        '<property name="Name" type="s" access="read"/></interface></node>'
    )

    def __init__(self, name: str) -> None:
        self.name = name

    def properties(self) -> Mapping[str, object]:
        return {"Name": self.name}


class Heart:
    """Measures how long the loop was busy between two beats.

    In processor time: other load on the machine is not the service's fault.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def beat(self) -> None:
        while True:
            start = time.thread_time()
            await asyncio.sleep(HEARTBEAT)
            self.longest = max(self.longest, time.thread_time() - start)


class Toy(Interface):
    spec = parse(XML)

    def __init__(self, connection: Connection, heart: Heart) -> None:
        self._connection = connection
        self._heart = heart
        self._count = 0
        self._level = "info"
        self.tree: ObjectTree

    def methods(self) -> Mapping[str, Handler]:
        return {
            "Echo": self._echo,
            "Wait": self._wait,
            "Options": self._options,
            "Strings": self._strings,
            "Raise": self._raise,
            "Burst": self._burst,
            "OpenPipe": self._open_pipe,
            "Add": self._add,
            "Remove": self._remove,
            "Bump": self._bump,
            "LongestStall": self._longest_stall,
            "Watch": self._watch,
        }

    def properties(self) -> Mapping[str, object]:
        return {
            "Version": "1.0\udcff\0",
            "Count": self._count,
            "Silent": -self._count,
            "Large": ["x"] * self._count,
            "Rows": [("a", "b", self._count, "c")],
            "Level": self._level,
            "Broken": "not a number",
        }

    async def set_property(self, call: Call, name: str, value: object) -> None:
        if value == "wrong":
            raise BusError(INVALID_ARGS, "There is no such level.")
        self._level = str(value)

    async def _echo(self, call: Call) -> Sequence[object]:
        return call.args

    async def _wait(self, call: Call) -> Sequence[object]:
        await asyncio.sleep(int(str(call.args[0])) / 1000)
        return [call.sender, call.interactive]

    async def _options(self, call: Call) -> Sequence[object]:
        options = call.args[1]
        assert isinstance(options, dict)
        return [sorted(options)]

    async def _strings(self, call: Call) -> Sequence[object]:
        strings = call.args[0]
        assert isinstance(strings, dict)
        return [len(strings)]

    async def _raise(self, call: Call) -> Sequence[object]:
        if call.args == ("os",):
            os.stat("/nonexistent/secret")
        elif call.args == ("reply",):
            return ["one value too many"]
        elif call.args == ("key",):
            raise KeyError("/secret")
        elif call.args == ("cancel",):
            raise asyncio.CancelledError
        elif call.args == ("known",):
            raise TimeoutError
        raise BusError("org.example.Error.Mine", "A sentence.")

    async def _burst(self, call: Call) -> Sequence[object]:
        count, size = (int(str(arg)) for arg in call.args)
        for number in range(count):
            self.tree.emit(ROOT, NAME, "Tick", number, "x" * size)
        return []

    async def _open_pipe(self, call: Call) -> Sequence[object]:
        reader, writer = os.pipe()
        os.write(writer, b"through a pipe")
        os.close(writer)
        return [reader]

    async def _add(self, call: Call) -> Sequence[object]:
        self.tree.export(f"{ROOT}/child/{call.args[0]}", [Child(str(call.args[0]))])
        return []

    async def _remove(self, call: Call) -> Sequence[object]:
        self.tree.unexport(f"{ROOT}/child/{call.args[0]}")
        return []

    async def _bump(self, call: Call) -> Sequence[object]:
        self._count += 1
        self.tree.refresh()
        return []

    async def _longest_stall(self, call: Call) -> Sequence[object]:
        longest, self._heart.longest = self._heart.longest, 0.0
        return [longest]

    async def _watch(self, call: Call) -> Sequence[object]:
        await self._connection.vanished(call.sender).wait()
        self.tree.emit(ROOT, NAME, "Left", call.sender)
        return []


def translate(error: Exception) -> BusError | None:
    """Map the program's own errors; all others are bugs."""
    if isinstance(error, TimeoutError):
        return BusError("org.example.Error.TooLate", "It was too late.")
    return None


async def main(address: str) -> int:
    connection = await Connection.connect(address)
    heart = Heart()
    beating = asyncio.ensure_future(heart.beat())
    toy = Toy(connection, heart)
    toy.tree = ObjectTree(connection, ROOT, machine_id=MACHINE_ID, translate=translate)
    toy.tree.export(ROOT, [toy])
    if not await connection.request_name(NAME):
        return NAME_TAKEN
    try:
        await connection.closed()
    except BusError as error:
        print(error, file=sys.stderr)
    beating.cancel()
    return BUS_GONE


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(asyncio.run(main(sys.argv[1])))

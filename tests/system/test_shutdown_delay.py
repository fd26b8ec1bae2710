# SPDX-License-Identifier: LGPL-2.1-or-later
"""A shutdown waits for a reload: nestd's inhibitor lock from logind (here a fake one)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from running_nestd import Nestd, client_of

from nestd.dbus.connection.transport import Connection
from nestd.dbus.objects.exported import Handler, Interface
from nestd.dbus.objects.introspection import parse
from nestd.dbus.objects.tree import ObjectTree
from nestd.dbus.values import Call

LOGIN1 = """
<node><interface name="org.freedesktop.login1.Manager">
  <method name="Inhibit">
    <arg type="s" direction="in"/><arg type="s" direction="in"/>
    <arg type="s" direction="in"/><arg type="s" direction="in"/>
    <arg type="h" direction="out"/>
  </method>
</interface></node>
"""


class Logind(Interface):
    spec = parse(LOGIN1)

    def __init__(self, nestd: Nestd) -> None:
        self._nestd = nestd
        self.asked: list[tuple[object, ...]] = []
        self.loaded_when_asked: list[bool] = []
        self.released = asyncio.Event()

    def methods(self) -> Mapping[str, Handler]:
        return {"Inhibit": self._inhibit}

    async def _inhibit(self, call: Call) -> Sequence[object]:
        self.asked.append(call.args)
        self.loaded_when_asked.append((self._nestd.root / "sys/module/kvm_intel").is_dir())
        ours, theirs = os.pipe()
        loop = asyncio.get_running_loop()

        def readable() -> None:
            loop.remove_reader(ours)
            os.close(ours)
            self.released.set()

        loop.add_reader(ours, readable)
        return [theirs]


def test_a_lock_is_held_during_a_reload_and_dropped_after_it(intel: Nestd) -> None:
    async def body() -> None:
        connection = await Connection.connect(intel.address)
        logind = Logind(intel)
        ObjectTree(connection, "/org").export("/org/freedesktop/login1", [logind])
        assert await connection.request_name("org.freedesktop.login1")
        async with client_of(intel) as client:
            await client.set_nested("kvm_intel", False, "boot")
            assert logind.asked == []
            await client.set_nested("kvm_intel", False, "now")
            await asyncio.wait_for(logind.released.wait(), 10)
            assert logind.asked == [
                ("shutdown", "nestd", "A KVM module is being reloaded", "delay")
            ]
            assert logind.loaded_when_asked == [True]
            assert await client.module("kvm_intel", "Nested") == ["no"]
        connection.close()

    asyncio.run(body())

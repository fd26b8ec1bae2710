# SPDX-License-Identifier: LGPL-2.1-or-later
"""A thousand changes at once: served one at a time, in order, each based on the current state."""

from __future__ import annotations

import asyncio

from running_nestd import BUS_NAME, MODULE, ROOT, Nestd, client_of

from nestd.dbus.connection.transport import Connection

CLIENTS, CALLS = 64, 16
GROWTH = 20 << 20  # bytes


def test_a_thousand_changes_at_once(intel: Nestd) -> None:
    async def body() -> None:
        before = intel.resident()
        connections = [await Connection.connect(intel.address) for _ in range(CLIENTS)]
        answered: list[bool] = []

        async def ask(connection: Connection, enabled: bool) -> None:
            path = f"{ROOT}/module/kvm_intel"
            args = [enabled, "boot", {}]
            answer = await connection.call(
                BUS_NAME, path, MODULE, "SetNested", "bsa{sv}", args, timeout=120
            )
            assert answer == ("/",)
            answered.append(enabled)

        await asyncio.gather(
            *(
                ask(connection, (number + call) % 2 == 0)
                for call in range(CALLS)
                for number, connection in enumerate(connections)
            )
        )
        assert len(answered) == CLIENTS * CALLS
        async with client_of(intel) as client:
            said = "yes" if answered[-1] else "no"
            assert await client.module("kvm_intel", "NestedConfigured") == [said]
        lines = intel.kvm_conf.read_bytes().splitlines()
        assert [line for line in lines if line.startswith(b"options")] == [
            b"options kvm_intel nested=" + (b"1" if answered[-1] else b"0")
        ]
        growth = intel.resident() - before
        print(f"{len(answered)} changes, {growth / 2**20:.1f} MiB more")
        assert growth < GROWTH
        for connection in connections:
            connection.close()

    asyncio.run(body())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The delay of PropertiesChanged after changes by others, measured on the bus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from running_nestd import MODULE, PROPERTIES, Client, Nestd, client_of

TIMES = 10
IN_TIME = 0.1  # seconds


def delays(nestd: Nestd, change: Callable[[int], object]) -> list[float]:
    """Seconds from each of several changes until PropertiesChanged, sorted."""

    async def body() -> list[float]:
        found = []
        async with client_of(nestd) as client:
            for number in range(TIMES):
                await asyncio.sleep(0.2)  # all signals of the previous change have arrived
                client.signals.clear()
                started = time.monotonic()
                change(number)
                await asyncio.wait_for(told(client), 10)
                found.append(time.monotonic() - started)
        return sorted(found)

    return asyncio.run(body())


async def told(client: Client) -> None:
    while not any(
        (signal.interface, signal.member, signal.args[0])
        == (PROPERTIES, "PropertiesChanged", MODULE)
        for signal in client.signals
    ):
        await asyncio.sleep(0.001)


def test_a_file_that_somebody_edits(
    intel: Nestd, record_property: Callable[[str, object], None]
) -> None:
    other = intel.kvm_conf.with_name("zz.conf")
    found = delays(intel, lambda number: other.write_text(f"options kvm_intel ple_gap={number}\n"))
    record_property("modprobe.d to signal, ms", [round(each * 1000) for each in found])
    # The fastest show nestd's own delay, the others the load of this machine.
    assert found[TIMES // 4] < IN_TIME


def test_a_module_that_somebody_unloads_and_loads(
    intel: Nestd, record_property: Callable[[str, object], None]
) -> None:
    module = intel.root / "sys/module/kvm_intel"
    aside = intel.root / "simulated/aside"

    def change(number: int) -> None:
        if number % 2 == 0:
            module.rename(aside)
        else:
            aside.rename(module)

    found = delays(intel, change)
    record_property("module to signal, ms", [round(each * 1000) for each in found])
    assert found[TIMES // 4] < IN_TIME

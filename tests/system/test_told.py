# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log for administrators: who changed what, and how each reload ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from running_nestd import Client, Nestd, client_of

from nestd.dbus.errors import BusError


def run(nestd: Nestd, test: Callable[[Client], Awaitable[None]]) -> list[str]:
    """The log lines of level notice and above that the test caused."""

    async def body() -> None:
        async with client_of(nestd) as client:
            await test(client)

    asyncio.run(body())
    lines = nestd.log.read_text().splitlines()
    return [line for line in lines if not line.startswith(("INFO", "DEBUG"))]


def test_a_change_and_its_reload(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        await client.set_nested("kvm_intel", False, "now")
        await client.set_nested("kvm_intel", False, "now")

    assert run(intel, test) == [
        "NOTICE: Job 1 of user 0: kvm_intel was reloaded",
        "NOTICE: User 0 set nested=0 of kvm_intel for now",
    ]


def test_a_change_for_the_next_boot(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        await client.set_parameters("kvm_intel", {"nested": "0", "ept": "0"}, "boot")

    [line] = run(intel, test)
    assert line == "NOTICE: User 0 set nested=0 ept=0 of kvm_intel for boot"


def test_a_reload_that_is_refused(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        intel.start_machine("web01")
        await client.wait_for_property("/org/nestd1", "MachineCount", 1)
        with pytest.raises(BusError, match="Busy"):
            await client.set_nested("kvm_intel", False, "now")

    [line] = run(intel, test)
    assert line.startswith(
        "NOTICE: Job 1 of user 0: kvm_intel could not be reloaded: kvm_intel is in use by machine"
    )


def test_a_reload_that_is_rolled_back(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        intel.kvm_conf.with_name("a.conf").write_text("install kvm_intel /bin/true\n")
        with pytest.raises(BusError, match="RolledBack"):
            await client.set_nested("kvm_intel", False, "now")

    [line] = run(intel, test)
    assert line.startswith("WARNING: Job 1 of user 0: kvm_intel could not be reloaded: ")
    assert "runs as before" in line


def test_refused_input_leaves_no_trace(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        for value in ("maybe", "1\nWARNING: forged"):
            with pytest.raises(BusError, match="InvalidParameter"):
                await client.set_parameters("kvm_intel", {"nested": value}, "now")

    assert run(intel, test) == []

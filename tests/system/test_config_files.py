# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files in modprobe.d that are links, that hang modprobe, or that are large, over D-Bus."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from running_nestd import MODULE, PROPERTIES, ROOT, Client, Nestd, client_of

from nestd.dbus.errors import BusError
from nestd.host.modprobe.config import MOST_BYTES

INTEL = f"{ROOT}/module/kvm_intel"
PEER = "org.freedesktop.DBus.Peer"
UNPARSABLE = "org.nestd1.Error.ConfigUnparsable"
ON, OFF = "options kvm_intel nested=1\n", "options kvm_intel nested=0\n"
LONGEST_STALL_SECONDS = 0.5


def run(nestd: Nestd, test: Callable[[Client], Awaitable[None]]) -> None:
    async def body() -> None:
        async with client_of(nestd) as client:
            await test(client)

    asyncio.run(body())


def module_identity(nestd: Nestd) -> int:
    """Changes with each load of the module; an inode number may be reused."""
    return (nestd.root / "sys/module/kvm_intel/initstate").stat().st_mtime_ns


async def unparsable(call: Awaitable[object], file: Path) -> None:
    with pytest.raises(BusError, match=file.name) as caught:
        await call
    assert caught.value.name == UNPARSABLE


async def reload(client: Client, when: str = "now") -> object:
    [job] = await client.call(INTEL, MODULE, "Reload", "sa{sv}", when, {})
    return job


@pytest.mark.parametrize("name", ["kvm.conf", "zz.conf"])
def test_an_edit_of_what_a_link_leads_to_is_told(intel: Nestd, name: str) -> None:
    target = intel.root / "etc/elsewhere.conf"
    link = intel.kvm_conf.with_name(name)

    async def test(client: Client) -> None:
        target.write_text(ON)
        link.unlink(missing_ok=True)
        link.symlink_to("../elsewhere.conf")
        await client.wait_for_property(INTEL, "NestedNext", "yes")
        target.write_text(OFF)
        await client.wait_for_property(INTEL, "NestedNext", "no")
        assert await client.module("kvm_intel", "State") == ["reload-pending"]

    run(intel, test)


def test_a_reload_right_after_an_edit_behind_a_link_takes_it_in(intel: Nestd) -> None:
    target = intel.root / "etc/elsewhere.conf"

    async def test(client: Client) -> None:
        target.write_text(ON)
        intel.kvm_conf.unlink()
        intel.kvm_conf.symlink_to("../elsewhere.conf")
        await client.wait_for_property(INTEL, "NestedNext", "yes")
        await asyncio.sleep(0.3)  # no file is recent any more
        target.write_text(OFF)
        await reload(client)
        assert await client.module("kvm_intel", "Nested", "State") == ["no", "in-sync"]

    run(intel, test)


@pytest.mark.parametrize("name", ["zz.conf", "kvm.conf"])
def test_nothing_is_unloaded_while_modprobe_would_hang_in_a_fifo(intel: Nestd, name: str) -> None:
    fifo = intel.kvm_conf.with_name(name)

    async def test(client: Client) -> None:
        before = module_identity(intel)
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo)
        await client.wait_for_property(INTEL, "State", "config-error")
        assert await client.module("kvm", "State") == ["config-error"]
        for when in ("now", "idle"):
            await unparsable(reload(client, when), fifo)
            await unparsable(client.set_nested("kvm_intel", False, when), fifo)
        assert module_identity(intel) == before
        fifo.unlink()
        await client.wait_for_property(INTEL, "State", "in-sync")
        await reload(client)
        assert module_identity(intel) != before

    run(intel, test)


def test_what_needs_no_load_is_done_beside_a_fifo(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        os.mkfifo(intel.kvm_conf.with_name("zz.conf"))
        before = module_identity(intel)
        assert await client.set_nested("kvm_intel", True, "now") == "/"
        asked = {"halt_poll_ns": "1"}
        assert await client.set_parameters("kvm", asked, "now") == "/"
        assert (intel.root / "sys/module/kvm/parameters/halt_poll_ns").read_text() == "1\n"
        assert module_identity(intel) == before

    run(intel, test)


def test_for_the_next_boot_it_is_written_beside_a_fifo(intel: Nestd) -> None:
    fifo = intel.kvm_conf.with_name("zz.conf")

    async def test(client: Client) -> None:
        os.mkfifo(fifo)
        plan = await client.plan("kvm_intel", {"nested": "0"}, "boot")
        [warning] = [each for each in plan["warnings"] if "FIFO" in each]  # type: ignore[attr-defined]
        assert str(fifo.relative_to(intel.root)) in warning
        assert await client.set_nested("kvm_intel", False, "boot") == "/"
        assert intel.kvm_conf.read_text().endswith(OFF)
        told = await client.module("kvm_intel", "NestedConfigured", "NestedNext", "State")
        assert told == ["no", "invalid", "config-error"]

    run(intel, test)


def test_a_reload_that_waits_ends_when_modprobe_would_hang(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        intel.start_machine("web01")
        job = await client.set_nested("kvm_intel", False, "idle")
        before = module_identity(intel)
        os.mkfifo(intel.kvm_conf.with_name("zz.conf"))
        intel.end_machine("web01")
        assert await client.wait_for_job_end(job) == "failed"
        assert module_identity(intel) == before

    run(intel, test)


def test_what_is_too_large_to_be_read_makes_the_next_load_unknown(intel: Nestd) -> None:
    large = intel.kvm_conf.with_name("zz.conf")

    async def test(client: Client) -> None:
        large.write_bytes(b"#" * (MOST_BYTES + 1))
        await client.wait_for_property(INTEL, "State", "config-error")
        await unparsable(client.set_nested("kvm_intel", False, "now"), large)
        large.write_bytes(b"#" * MOST_BYTES)
        await client.wait_for_property(INTEL, "State", "in-sync")

    run(intel, test)


@pytest.mark.parametrize("name", ["kvm.conf", "zz.conf"])
def test_the_largest_file_of_comments_keeps_nobody_waiting(intel: Nestd, name: str) -> None:
    line = b"# comment line here\n"
    comments = line * ((MOST_BYTES - 100) // len(line))

    async def longest_wait(client: Client, done: asyncio.Event) -> float:
        longest = 0.0
        while not done.is_set():
            before = time.monotonic()
            await client.call(ROOT, PEER, "Ping")
            longest = max(longest, time.monotonic() - before)
            await asyncio.sleep(0.01)
        return longest

    async def body() -> None:
        async with client_of(intel) as other, client_of(intel) as client:
            done = asyncio.Event()
            waits = asyncio.ensure_future(longest_wait(other, done))
            intel.kvm_conf.with_name(name).write_bytes(comments + ON.encode())
            await client.wait_for_property(INTEL, "NestedNext", "yes")
            for _ in range(3):
                await client.call(INTEL, PROPERTIES, "GetAll", "s", MODULE)
            await client.plan("kvm_intel", {"nested": "1"}, "boot")
            await client.set_parameters("kvm_intel", {"ept": "1"}, "boot")
            await client.wait_for_property(INTEL, "Configured", {**_own(name), "ept": "1"})
            done.set()
            assert await waits < LONGEST_STALL_SECONDS

    asyncio.run(body())


def _own(name: str) -> dict[str, str]:
    return {"nested": "1"} if name == "kvm.conf" else {}


def test_a_vendors_file_is_not_masked_by_a_copy(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        vendors = intel.root / "lib/modprobe.d/kvm.conf"
        vendors.parent.mkdir(parents=True, exist_ok=True)
        vendors.write_text(ON)
        intel.kvm_conf.unlink()
        await client.wait_for_property(INTEL, "NestedNext", "yes")
        for parameters in ({"ept": ""}, {"nested": "1"}):
            assert (await client.plan("kvm_intel", parameters, "boot"))["diff"] == ""
            assert await client.set_parameters("kvm_intel", parameters, "boot") == "/"
            assert not intel.kvm_conf.exists()
        await client.set_parameters("kvm_intel", {"ept": "1"}, "boot")
        assert intel.kvm_conf.read_text() == f"{ON}options kvm_intel ept=1\n"
        await client.set_parameters("kvm_intel", {"ept": ""}, "boot")
        assert intel.kvm_conf.read_text() == ON  # its owner is unknown now, so it stays

    run(intel, test)


def test_a_file_that_was_made_for_a_value_stays_when_that_goes(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        intel.kvm_conf.unlink()
        await client.set_nested("kvm_intel", False, "boot")
        assert intel.kvm_conf.read_text() == OFF
        await client.set_parameters("kvm_intel", {"nested": ""}, "boot")
        assert intel.kvm_conf.read_bytes() == b""

    run(intel, test)

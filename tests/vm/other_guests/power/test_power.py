# SPDX-License-Identifier: LGPL-2.1-or-later
"""POWER9: kvm_hv's "nested" is writable, so no module is ever unloaded.

The tests run in this order in one machine; restore() runs after each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import service
from client import MANAGER, ROOT, Client, run

from nestd.dbus.errors import BusError

MODULE = Path("/sys/module/kvm_hv")
NESTED = MODULE / "parameters/nested"
KVM_CONF = Path("/etc/modprobe.d/kvm.conf")
PATH = f"{ROOT}/module/kvm_hv"
NETLINK_KOBJECT_UEVENT, KERNEL_GROUP = 15, 1  # linux/netlink.h; the kernel's own events
CHANGE_SECONDS = 60.0


def restore() -> None:
    """Restore the kernel's default, with nothing configured."""
    KVM_CONF.unlink(missing_ok=True)
    NESTED.write_text("Y")


def nested() -> str:
    return NESTED.read_text().strip()


def loaded_as() -> int:
    """A number that changes when the module is unloaded and loaded again."""
    return MODULE.stat().st_ino


@contextlib.contextmanager
def module_events() -> Iterator[list[bytes]]:
    """The kernel's module events during the block, complete at its end: ACTION@PATH."""
    events: list[bytes] = []
    family, kind = socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    with socket.socket(family, kind, NETLINK_KOBJECT_UEVENT) as kernel:
        kernel.bind((0, KERNEL_GROUP))
        yield events
        with contextlib.suppress(BlockingIOError):
            while True:
                event = kernel.recv(16384).partition(b"\0")[0]
                if b"@/module/" in event:
                    events.append(event)


def reload_by_hand() -> None:
    subprocess.run(["rmmod", "kvm_hv"], check=True)
    subprocess.run(["modprobe", "kvm_hv"], check=True)


def test_not_loaded_it_is_power_all_the_same() -> None:
    async def test(client: Client) -> None:
        assert await client.get(ROOT, MANAGER, "Vendor") == "power"
        assert await client.get(ROOT, MANAGER, "HostModule") == PATH
        assert await client.get(ROOT, MANAGER, "HostVirtualization") == "none"
        assert await client.module("kvm_hv", "State") == "not-loaded"
        assert await client.module("kvm_hv", "Nested") == "unknown"
        subprocess.run(["modprobe", "kvm_hv"], check=True)
        await client.changed(PATH, "Loaded", True)

    run(test)


def test_it_is_on_by_default() -> None:
    async def test(client: Client) -> None:
        assert nested() == "Y"
        assert await client.get(ROOT, MANAGER, "Vendor") == "power"
        expected = {
            "Availability": "loadable",
            "Loaded": True,
            "RefCount": 0,
            "Nested": "yes",
            "NestedConfigured": "unset",
            "NestedNext": "default",
            "State": "in-sync",
        }
        found = {name: await client.module("kvm_hv", name) for name in expected}
        assert found == expected
        assert (await client.module("kvm_hv", "Parameters"))["nested"] == "Y"
        assert await client.blockers("kvm_hv") == []

    run(test)


def test_now_changes_it_in_place() -> None:
    async def test(client: Client) -> None:
        before = loaded_as()
        with module_events() as events:
            assert await client.set_nested("kvm_hv", False, "now") == "/"
            assert nested() == "N"
            assert KVM_CONF.read_text() == "options kvm_hv nested=0\n"
            assert await client.module("kvm_hv", "Nested") == "no"
            assert await client.module("kvm_hv", "State") == "in-sync"
            assert await client.set_nested("kvm_hv", True, "now") == "/"
            assert nested() == "Y"
            assert KVM_CONF.read_text() == "options kvm_hv nested=1\n"
            assert await client.module("kvm_hv", "State") == "in-sync"
        assert events == []
        assert loaded_as() == before

    run(test)


def test_default_comes_back_in_place() -> None:
    async def test(client: Client) -> None:
        before = loaded_as()
        await client.set_nested("kvm_hv", False, "now")
        with module_events() as events:
            assert await client.set_parameters("kvm_hv", "now", nested="") == "/"
        assert nested() == "Y"
        assert "nested" not in KVM_CONF.read_text()
        assert await client.module("kvm_hv", "NestedNext") == "default"
        assert await client.module("kvm_hv", "State") == "in-sync"
        assert (events, loaded_as()) == ([], before)

    run(test)


def test_a_load_by_hand_brings_what_was_set() -> None:
    async def test(client: Client) -> None:
        before = loaded_as()
        await client.set_nested("kvm_hv", False, "now")
        with module_events() as events:
            await asyncio.to_thread(reload_by_hand)
        # The other tests' "no unload" depends on this.
        assert events == [b"remove@/module/kvm_hv", b"add@/module/kvm_hv"]
        assert loaded_as() != before
        assert nested() == "N"
        await client.changed(PATH, "Loaded", False)
        assert await client.module("kvm_hv", "Nested") == "no"
        assert await client.module("kvm_hv", "State") == "in-sync"

    run(test)


def kill_when_changed() -> None:
    """Kills nestd as soon as the loaded module's value differs from its default."""
    # At a higher priority than anything else on the only processor, so in the middle of nestd's
    # change.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    deadline = time.monotonic() + CHANGE_SECONDS
    while nested() == "Y" and time.monotonic() < deadline:
        time.sleep(0.0005)
    service.kill()
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def kill_in_the_middle() -> None:
    """Kills nestd some time after the request."""
    time.sleep(0.1)
    service.kill()


def test_killed_at_any_time_it_leaves_the_old_or_the_new() -> None:
    async def test(client: Client) -> None:
        module = loaded_as()
        for kill in (kill_when_changed, kill_in_the_middle):
            await client.set_parameters("kvm_hv", "now", nested="1")
            asked = asyncio.ensure_future(client.set_nested("kvm_hv", False, "now"))
            await asyncio.to_thread(kill)
            with contextlib.suppress(BusError):
                await asked
            await asyncio.to_thread(service.start)
            assert (nested(), KVM_CONF.read_text()) in (
                ("Y", "options kvm_hv nested=1\n"),
                ("N", "options kvm_hv nested=0\n"),
            )
            assert await client.module("kvm_hv", "State") == "in-sync"
        assert [path.name for path in KVM_CONF.parent.iterdir()] == ["kvm.conf"]
        assert loaded_as() == module

    run(test)

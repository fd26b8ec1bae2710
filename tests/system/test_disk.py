# SPDX-License-Identifier: LGPL-2.1-or-later
"""A full or read-only disk under modprobe.d or /run: an error, no loss, and nestd keeps running."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_nestd import Client, Nestd, client_of

from nestd.dbus.errors import BusError

IO_ERROR = "org.freedesktop.DBus.Error.IOError"


@pytest.fixture
def small(intel: Nestd) -> Iterator[Path]:
    """modprobe.d on a separate file system of 64 KiB."""
    directory = intel.kvm_conf.parent
    data = intel.kvm_conf.read_bytes()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs root and the right to mount a small file system")
    intel.kvm_conf.write_bytes(data)
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


async def fails(client: Client, when: str, words: str) -> None:
    with pytest.raises(BusError, match=words) as caught:
        await client.set_nested("kvm_intel", False, when)
    assert caught.value.name == IO_ERROR
    assert await client.module("kvm_intel", "Loaded", "Nested") == [True, "yes"]


@pytest.mark.parametrize("when", ["now", "boot", "idle"])
def test_a_full_disk(intel: Nestd, small: Path, when: str) -> None:
    async def body() -> None:
        before = intel.kvm_conf.read_bytes()
        (small / "filler").write_bytes(b"\0" * (60 << 10))
        async with client_of(intel) as client:
            await fails(client, when, "No space left")
            assert intel.kvm_conf.read_bytes() == before
            assert sorted(os.listdir(small)) == ["filler", "kvm.conf"]
            (small / "filler").unlink()
            await client.set_nested("kvm_intel", False, "now")
            assert await client.module("kvm_intel", "Nested") == ["no"]

    asyncio.run(body())


@pytest.mark.parametrize("when", ["now", "boot", "idle"])
def test_a_read_only_disk(intel: Nestd, small: Path, when: str) -> None:
    async def body() -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        async with client_of(intel) as client:
            await fails(client, when, "Read-only file system")

    asyncio.run(body())


@pytest.mark.usefixtures("small")
def test_no_room_for_the_record(intel: Nestd) -> None:
    async def body() -> None:
        before = intel.kvm_conf.read_bytes()
        run = intel.root / "run/nestd"
        run.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(run)], check=True)
        try:
            async with client_of(intel) as client:
                await fails(client, "now", "Read-only file system")
                assert intel.kvm_conf.read_bytes() == before
        finally:
            subprocess.run(["umount", str(run)], check=True)

    asyncio.run(body())

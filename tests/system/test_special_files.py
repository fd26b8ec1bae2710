# SPDX-License-Identifier: LGPL-2.1-or-later
"""FIFOs in place of files: opening one for reading blocks until a writer opens it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from private_bus import PrivateBus
from running_nestd import MANAGER, ROOT, Nestd, client_of, running_nestd

from nestd.dbus.errors import BusError

MODULE = "sys/module/kvm_intel"
PATHS = (
    *("lib/modules/6.1.0/modules.builtin", "lib/modules/6.1.0/modules.dep"),
    *("lib/modules/6.1.0/modules.dep.bin", "lib/modules/6.1.0/modules.softdep"),
    *(f"{MODULE}/initstate", f"{MODULE}/refcnt", f"{MODULE}/parameters/nested"),
    *("proc/cpuinfo", "proc/cmdline", "proc/sys/kernel/modules_disabled"),
    *("proc/sys/kernel/random/boot_id", "etc/machine-id", "etc/os-release"),
)


def test_they_keep_nestd_neither_from_its_start_nor_from_answers(
    bus: PrivateBus, tmp_path: Path
) -> None:
    async def body(nestd: Nestd) -> None:
        async with client_of(nestd) as client:
            found = await client.module("kvm_intel", "Nested", "Parameters", "ReadError")
            assert found[:2] == ["unknown", {}]
            assert "is not a regular file" in found[2]
            with pytest.raises(BusError, match=r"Error\.(Unreadable|ConfigUnparsable)"):
                await client.set_nested("kvm_intel", True, "now")
            assert await client.call(ROOT, MANAGER, "ListMachines") == ([],)
            await client.call(ROOT, MANAGER, "Validate")

    for path in PATHS:
        place = tmp_path / "root" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(place)
    with running_nestd(bus.address, tmp_path) as nestd:
        asyncio.run(body(nestd))

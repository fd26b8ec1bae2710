# SPDX-License-Identifier: LGPL-2.1-or-later
"""How soon a reload is refused: at once if the blocking machine is known, else after retries."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from private_bus import PrivateBus
from running_nestd import ROOT, Client, Nestd, on_host

from nestd.dbus.errors import BusError

TRIES_SECONDS = 0.5  # at least: nestd waits about two seconds for users that may be about to exit


def look_like_a_probe(nestd: Nestd, name: str) -> None:
    """The machine is not libvirt's, and has no name, so it may be gone in a moment."""
    processes = [each for each in nestd.root.glob("proc/[0-9]*") if (each / "fd/3").is_symlink()]
    [process] = [each for each in processes if (each / "fd/3").readlink().name == name]
    (process / "cmdline").write_bytes(b"/usr/libexec/qemu-kvm\0-machine\0none\0")
    for suffix in ("pid", "xml"):
        (nestd.root / f"run/libvirt/qemu/{name}.{suffix}").unlink()


def test_a_known_machine_is_not_tried_for(
    bus: PrivateBus, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        async def refusal() -> float:
            started = time.perf_counter()
            with pytest.raises(BusError, match="Busy"):
                await client.set_nested("kvm_intel", False, "now")
            return time.perf_counter() - started

        nestd.start_machine("web01")
        await client.wait_for_property(ROOT, "MachineCount", 1)
        known = min([await refusal() for _ in range(3)])
        look_like_a_probe(nestd, "web01")
        tried = min([await refusal() for _ in range(2)])
        record_property("refusal with a known machine", f"{1000 * known:.0f} ms")
        assert known < tried - TRIES_SECONDS, (known, tried)

    on_host(bus, tmp_path, "intel", test)

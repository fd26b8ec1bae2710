# SPDX-License-Identifier: LGPL-2.1-or-later
"""The toy service as a process on a bus."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import toy_service
from private_bus import PrivateBus, die_with_parent
from raw_client import RawClient, string
from running_nestd import shipped_environment

import nestd


@dataclass(frozen=True)
class Toy:
    """The toy service as a process."""

    process: subprocess.Popen[bytes]
    bus: PrivateBus
    log: Path

    def fds(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def resident(self) -> int:
        """Resident memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096

    def gives_back(self, before: int, growth: int) -> bool:
        """Whether memory falls to at most GROWTH bytes above BEFORE within a few seconds."""
        deadline = time.monotonic() + 20
        while self.resident() - before > growth and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.resident() - before <= growth

    def client(self) -> RawClient:
        return RawClient(self.bus.address)

    def is_well(self) -> bool:
        """Whether it still responds to a new client."""
        with self.client() as client:
            serial = client.call(
                toy_service.NAME, toy_service.ROOT, toy_service.NAME, "Echo", "s", string("well")
            )
            return client.reply_to(serial).text == "well" and self.process.poll() is None


@contextmanager
def toy_service_on(bus: PrivateBus, log: Path) -> Iterator[Toy]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, toy_service.__file__, bus.address],
            env=service_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
    toy = Toy(process, bus, log)
    try:
        _wait_for_name(bus.address)
        yield toy
    finally:
        process.kill()
        process.wait()


def service_environment() -> dict[str, str]:
    """For our programs, installed or not; the unit file's settings concern memory."""
    checkout = str(Path(nestd.__file__).parents[1])
    return {**os.environ, **shipped_environment(), "PYTHONPATH": checkout}


def _wait_for_name(address: str) -> None:
    with RawClient(address) as client:
        bus = "org.freedesktop.DBus"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            serial = client.call(
                bus, "/org/freedesktop/DBus", bus, "GetNameOwner", "s", string(toy_service.NAME)
            )
            if not client.reply_to(serial).error:
                return
            time.sleep(0.02)
    raise RuntimeError("the toy service does not start")

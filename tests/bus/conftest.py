# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus of each kind, and the toy service on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import toy_service
from private_bus import KINDS, PrivateBus, die_with_parent, private_bus
from raw_client import RawClient, string

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
        """Bytes of memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096

    def client(self) -> RawClient:
        return RawClient(self.bus.address)

    def is_well(self) -> bool:
        """Whether it still answers a new client."""
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
            env={**os.environ, "PYTHONPATH": str(Path(nestd.__file__).parents[1])},
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


@pytest.fixture(scope="session", params=KINDS)
def shared_bus(request: pytest.FixtureRequest) -> Iterator[PrivateBus]:
    with private_bus(request.param) as bus:
        yield bus


@pytest.fixture(scope="session")
def shared_toy(shared_bus: PrivateBus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    with toy_service_on(shared_bus, tmp_path_factory.mktemp("toy") / "log") as toy:
        yield toy


@pytest.fixture
def toy(shared_toy: Toy) -> Iterator[Toy]:
    """The service that all tests on this kind of bus share, and that none may harm."""
    yield shared_toy
    assert shared_toy.is_well()


@pytest.fixture(params=KINDS)
def own_bus(request: pytest.FixtureRequest) -> Iterator[PrivateBus]:
    """A bus that the test may stop or kill."""
    with private_bus(request.param) as bus:
        yield bus


@pytest.fixture
def own_toy(own_bus: PrivateBus, tmp_path: Path) -> Iterator[Toy]:
    """A service of the test's own, on a bus of its own."""
    with toy_service_on(own_bus, tmp_path / "log") as toy:
        yield toy

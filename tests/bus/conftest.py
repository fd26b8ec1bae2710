# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus of each kind, with the toy service on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from private_bus import KINDS, PrivateBus, private_bus
from toy_process import Toy, toy_service_on


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
    """The service that all tests on this kind of bus share; no test may harm it."""
    yield shared_toy
    assert shared_toy.is_well()


@pytest.fixture(params=KINDS)
def own_bus(request: pytest.FixtureRequest) -> Iterator[PrivateBus]:
    """A bus that the test may stop or kill."""
    with private_bus(request.param) as bus:
        yield bus


@pytest.fixture
def own_toy(own_bus: PrivateBus, tmp_path: Path) -> Iterator[Toy]:
    """The test's own service, on its own bus."""
    with toy_service_on(own_bus, tmp_path / "log") as toy:
        yield toy

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus for the tests of nestctl, with the real nestd or a scripted one on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from private_bus import PrivateBus, private_bus
from running_nestd import Nestd, running_nestd


@pytest.fixture(scope="session")
def bus() -> Iterator[PrivateBus]:
    with private_bus("dbus-daemon") as bus:
        yield bus


@pytest.fixture
def intel(bus: PrivateBus, tmp_path: Path) -> Iterator[Nestd]:
    """nestd on a fresh simulated Intel host."""
    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
        yield nestd

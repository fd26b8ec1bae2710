# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus, and one libvirtd; all tests of a file share its guests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from private_bus import PrivateBus, private_bus
from real_guests import Guests, real_guests


@pytest.fixture(scope="module")
def bus() -> Iterator[PrivateBus]:
    with private_bus("dbus-daemon") as bus:
        yield bus


@pytest.fixture(scope="module")
def guests(bus: PrivateBus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    with real_guests(tmp_path_factory.mktemp("libvirtd") / "root", bus.address) as guests:
        yield guests

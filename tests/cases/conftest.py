# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bus for the nestd of each case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from private_bus import PrivateBus, private_bus


@pytest.fixture(scope="session")
def bus() -> Iterator[PrivateBus]:
    with private_bus("dbus-daemon") as bus:
        yield bus

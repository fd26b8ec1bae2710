# SPDX-License-Identifier: LGPL-2.1-or-later
"""The oldest and the newest ansible-core, with the collection installed."""

from __future__ import annotations

from collections.abc import Iterator

import engine
import fleet
import pytest
from engine import Ansible


@pytest.fixture(scope="session")
def newest() -> Ansible:
    return engine.make(engine.NEWEST)


@pytest.fixture(scope="session")
def oldest() -> Ansible:
    return engine.make(engine.OLDEST)


@pytest.fixture(scope="session", autouse=True)
def many_watches() -> Iterator[None]:
    with fleet.many_watches():
        yield

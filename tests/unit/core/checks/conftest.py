# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simulated hosts of each kind with nested virtualization enabled."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from situations import S390_NESTED, make_situation

from nestd.core.checks.situation import Situation

SWITCHED_ON = {
    "s390": {S390_NESTED: "1\n"},
    "arm64": {"/proc/cmdline": "kvm-arm.mode=nested\n"},
}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Situation]:
    """A host of each kind with nested virtualization enabled."""
    return {
        kind: make_situation(tmp_path_factory.mktemp(kind), kind, SWITCHED_ON.get(kind))
        for kind in ("intel", "amd", "power", "s390", "arm64")
    }

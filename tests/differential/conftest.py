# SPDX-License-Identifier: LGPL-2.1-or-later
"""A generated host tree with libkmod in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import host_trees
import kmod_oracle
import pytest
import tiers


@pytest.fixture
def host_tree(tmp_path: Path) -> Path:
    """The root of an empty host."""
    host_trees.make_root(tmp_path, kmod_oracle.RELEASE)
    return tmp_path


@pytest.fixture
def libkmod(host_tree: Path) -> Iterator[kmod_oracle.Oracle]:
    """libkmod, with that host as its root."""
    try:
        oracle = kmod_oracle.Oracle(host_tree)
    except kmod_oracle.OracleMissing as missing:
        tiers.lacking([str(missing)])
    yield oracle
    oracle.close()


@pytest.fixture
def kmod_version() -> int:
    """The major version of libkmod."""
    try:
        return kmod_oracle.kmod_version()
    except kmod_oracle.OracleMissing as missing:
        tiers.lacking([str(missing)])

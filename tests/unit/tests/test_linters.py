# SPDX-License-Identifier: LGPL-2.1-or-later
"""The style and type checks as tests. Each is the command that a developer would run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
# Checked for the Python that runs this; tests/run includes the oldest supported one.
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "."],
        ["mypy", "--strict", "--python-version", VERSION],
        ["codespell_lib"],
    ],
    ids=["ruff-check", "ruff-format", "mypy", "codespell"],
)
def test_linter_finds_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout

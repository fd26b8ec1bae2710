# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests/run installs, with fake package managers that only record their arguments."""

from __future__ import annotations

from pathlib import Path

import harness
import pytest
import tiers

# The first call fails, as if one of the packages were unavailable.
SCRIPT = '#!/bin/sh\necho "$@" >> "$0.log"\n[ $(wc -l < "$0.log") != 1 ]\n'


@pytest.mark.parametrize(
    ("program", "family", "install"),
    [
        ("apt-get", "debian", "install -qq --no-install-recommends"),
        ("dnf", "fedora", "install --quiet --assumeyes"),
    ],
)
def test_packages_are_installed_by_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, family: str, install: str
) -> None:
    (tmp_path / program).write_text(SCRIPT)
    (tmp_path / program).chmod(0o755)
    for each in ("wc", "sh"):
        (tmp_path / each).symlink_to(f"/usr/bin/{each}")
    monkeypatch.setenv("PATH", str(tmp_path))
    harness._install_packages(["unit", "vm"])
    names = tiers.packages(["unit", "vm"], family)
    calls = (tmp_path / f"{program}.log").read_text().splitlines()
    assert calls == [f"{install} {' '.join(names)}", *(f"{install} {name}" for name in names)]


def test_elsewhere_nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    harness._install_packages(list(tiers.TIERS))
    assert list(tmp_path.iterdir()) == []

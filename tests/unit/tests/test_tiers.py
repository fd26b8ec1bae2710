# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which tests are selected, skipped and failed by tier, as pytest shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiers

TESTS = Path(tiers.__file__).parent
SAMPLE = """
import pytest

def test_of_no_tier():
    pass

@pytest.mark.vm
def test_in_a_machine():
    pass

@pytest.mark.needs("dbus-broker-launch")
def test_with_another_bus():
    pass
"""


def _pytest(directory: Path, *arguments: str, path: str = "", ci: str = "") -> tuple[int, str]:
    """Runs pytest on SAMPLE with the project's conftest.py; path replaces the search path."""
    for name in ("conftest.py", "tiers.py"):
        (directory / name).write_bytes((TESTS / name).read_bytes())
    if path:
        text = (TESTS / "tiers.py").read_text()
        line = next(line for line in text.splitlines() if line.startswith("SEARCH_PATH"))
        text = text.replace(line, f"SEARCH_PATH = {path!r}")
        (directory / "tiers.py").write_text(text.replace('"/usr/', f'"{path}/usr/'))
    (directory / "test_sample.py").write_text(SAMPLE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-ra",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        *arguments,
    ]
    environment = {**os.environ, "CI": ci, "COLUMNS": "300"}
    done = subprocess.run(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True
    )
    return done.returncode, done.stdout


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A search path with only what the unit tier needs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    _provide(directory, *tiers.EVERYWHERE, *tiers.TIERS["unit"].needs)
    return directory


def _provide(directory: Path, *needs: tiers.Need) -> None:
    for need in needs:
        path = directory / need.name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)


def test_plain_pytest_says_how_to_run_a_slow_tier_and_what_it_lacks(
    tmp_path: Path, programs: Path
) -> None:
    status, output = _pytest(tmp_path, path=str(programs))
    assert status == 0
    assert "1 passed, 2 skipped" in output
    assert "slow: run it with pytest --tier vm, which needs mmdebstrap (package" in output
    assert "needs dbus-broker-launch (package dbus-broker in Debian" in output


def test_tier_runs_only_its_own_and_names_what_it_lacks(tmp_path: Path, programs: Path) -> None:
    status, output = _pytest(tmp_path, "--tier", "vm", path=str(programs))
    assert status == 0
    assert "1 skipped, 2 deselected" in output
    assert "qemu-system-x86_64 (package qemu-system-x86 in Debian" in output


def test_in_ci_what_is_lacking_fails_but_what_was_not_asked_for_does_not(
    tmp_path: Path, programs: Path
) -> None:
    status, output = _pytest(tmp_path, path=str(programs), ci="true")
    assert status == 1
    assert "1 passed, 1 skipped, 1 error" in output
    status, output = _pytest(tmp_path, "--tier", "all", path=str(programs), ci="true")
    assert status == 1
    assert "1 passed, 2 errors" in output


def test_tier_with_everything_there_runs(tmp_path: Path, programs: Path) -> None:
    _provide(programs, *tiers.TIERS["vm"].needs, tiers.OPTIONAL["dbus-broker-launch"])
    status, output = _pytest(tmp_path, "--tier", "all", path=str(programs), ci="true")
    assert status == 0
    assert "3 passed" in output


def test_unknown_tier_and_unknown_mark_are_errors(tmp_path: Path) -> None:
    assert _pytest(tmp_path, "--tier", "moon")[0] == 4
    (tmp_path / "test_other.py").write_text("import pytest\n@pytest.mark.moon\ndef test(): pass\n")
    assert _pytest(tmp_path, "--strict-markers")[0] == 2


def test_missing_library_is_named() -> None:
    assert not tiers.Need("libnothing.so.7", "d", "f").is_met()
    assert tiers.Need("libc.so.6", "libc6", "glibc").is_met()


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert not tiers.Need(str(tmp_path / "nothing"), "d", "f").is_met()
    assert tiers.Need(str(tmp_path), "d", "f").is_met()


def test_a_module_of_the_system_s_python_is_looked_for() -> None:
    assert tiers.Need("python3 -m json", "d", "f").is_met() == os.path.exists("/usr/bin/python3")
    assert not tiers.Need("python3 -m no_such_module", "d", "f").is_met()


@pytest.mark.parametrize("family", ["debian", "fedora"])
def test_packages_are_those_of_the_chosen_tiers(family: str) -> None:
    unit, every = tiers.packages(["unit"], family), tiers.packages(tiers.TIERS, family)
    assert "kmod" in unit
    assert "mmdebstrap" not in unit
    assert set(unit) < set(every)
    assert every == sorted(set(every))

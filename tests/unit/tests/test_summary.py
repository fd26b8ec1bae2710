# SPDX-License-Identifier: LGPL-2.1-or-later
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import summary

SAMPLE = """
import pytest

@pytest.fixture(scope="session", autouse=True)
def steps(record_testsuite_property):
    record_testsuite_property("boot", "20 s")
    record_testsuite_property("hypothesis-statistics-test_it.py::test_good", "dGVz")

@pytest.fixture
def broken():
    raise RuntimeError

def test_good(record_property): record_property("event ms", 42)
def test_bad(): assert 0
def test_error(broken): pass
def test_no(): pytest.skip("needs a moon")
def test_nor(): pytest.skip("needs a moon")
"""


def _row(directory: Path, text: str) -> summary.Row:
    (directory / "test_it.py").write_text(text)
    report = directory / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:hypothesispytest",
        "-o",
        "junit_family=xunit1",
        f"--junitxml={report}",
    ]
    done = subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL)
    return summary.read("unit 3.9", report, done.returncode, 2.0)


def test_counts_reasons_and_failures_of_a_run(tmp_path: Path) -> None:
    row = _row(tmp_path, SAMPLE)
    assert (row.passed, row.failed, row.skipped) == (1, 2, 2)
    assert row.remark == "boot 20 s"
    assert row.failures == ("test_it.test_bad", "test_it.test_error")
    lines = summary.show([row]).splitlines()
    assert lines[1].split() == ["unit", "3.9", "1", "2", "2", "2", "s", "boot", "20", "s"]
    assert "measured in unit 3.9: test_good: event ms 42" in lines
    assert "skipped in unit 3.9: 2 x needs a moon" in lines
    assert "FAILED in unit 3.9: test_it.test_bad" in lines
    assert lines[-1] == "1 passed, 2 failed, 2 skipped"


def test_module_that_cannot_be_imported_fails(tmp_path: Path) -> None:
    assert _row(tmp_path, "import nothing_of_that_name").failed == 1


def test_tier_without_tests_is_no_failure(tmp_path: Path) -> None:
    row = _row(tmp_path, "")
    assert (row.passed, row.failed, row.remark) == (0, 0, "has no tests yet")


def test_run_that_was_killed_has_failed(tmp_path: Path) -> None:
    row = summary.read("vm 3.9", tmp_path / "none.xml", -9, 1200.0)
    assert row.failed == 1
    assert "FAILED in vm 3.9: pytest ended with status -9" in summary.show([row])

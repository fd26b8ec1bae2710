# SPDX-License-Identifier: LGPL-2.1-or-later
"""The results of the runs of pytest, read from their JUnit reports and shown as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

NO_TESTS_COLLECTED = 5


@dataclass(frozen=True)
class Row:
    """One run: counts of results, seconds, a remark, and lines about single tests."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    remark: str
    failures: tuple[str, ...]
    skips: tuple[str, ...]
    measured: tuple[str, ...]


def read(name: str, report: Path, status: int, seconds: float) -> Row:
    """The row of a run with that exit status of pytest; negative if a signal ended it."""
    cases = []
    remarks = []
    if report.exists():
        root = ElementTree.parse(report).getroot()
        cases = list(root.iter("testcase"))
        remarks = [
            _shown(entry)
            for entry in root.findall("testsuite/properties/property")
            # hypothesis records a whole report for each test.
            if not str(entry.get("name")).startswith("hypothesis-statistics-")
        ]
    bad = [case for case in cases if any(child.tag in ("failure", "error") for child in case)]
    skips = [str(mark.get("message")) for case in cases for mark in case.findall("skipped")]
    failures = [f"{case.get('classname')}.{case.get('name')}" for case in bad]
    if status == NO_TESTS_COLLECTED:
        remarks.append("has no tests yet")
    elif status != 0 and not failures:
        failures.append(f"pytest ended with status {status}")
    return Row(
        name=name,
        passed=len(cases) - len(bad) - len(skips),
        failed=len(failures),
        skipped=len(skips),
        seconds=seconds,
        remark=", ".join(remarks),
        failures=tuple(failures),
        skips=tuple(skips),
        measured=tuple(
            f"{case.get('name')}: {_shown(entry)}"
            for case in cases
            for entry in case.findall("properties/property")
        ),
    )


def _shown(entry: ElementTree.Element) -> str:
    """A property that a test or a fixture recorded, as text."""
    return f"{entry.get('name')} {entry.get('value')}"


def show(rows: Sequence[Row]) -> str:
    """A line for each run, lines about single tests, and the total in the last line."""
    lines = [f"{'tier':16}{'passed':>8}{'failed':>8}{'skipped':>9}{'time':>8}"]
    for row in rows:
        counts = f"{row.passed:8}{row.failed:8}{row.skipped:9}{row.seconds:6.0f} s"
        lines.append(f"{row.name:16}{counts}  {row.remark}".rstrip())
    for row in rows:
        lines += [f"measured in {row.name}: {what}" for what in row.measured]
    for row in rows:
        lines += [f"skipped in {row.name}: {n} x {why}" for why, n in Counter(row.skips).items()]
    for row in rows:
        lines += [f"FAILED in {row.name}: {what}" for what in row.failures]
    passed, failed, skipped = (
        sum(getattr(row, count) for row in rows) for count in ("passed", "failed", "skipped")
    )
    return "\n".join([*lines, "", f"{passed} passed, {failed} failed, {skipped} skipped"])

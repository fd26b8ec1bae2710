# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inside the guest: reports each test to the host as it goes (read by results.py)."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

RESULTS = "/run/share/results.jsonl"


def _report(**entry: Any) -> None:
    # Opened and closed each time: the data reaches the host even if the machine then dies.
    with open(RESULTS, "a", encoding="utf-8") as results:
        results.write(json.dumps(entry) + "\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    item.stash[_REPORTS] = []
    started = time.time()
    _report(test=item.nodeid, start=True)
    yield
    reports = item.stash[_REPORTS]
    outcomes = {report.outcome for report in reports}
    outcome = next(word for word in ("failed", "skipped", "passed") if word in outcomes)
    text = "".join(_text(report) for report in reports)
    _report(
        test=item.nodeid,
        outcome=outcome,
        seconds=sum(report.duration for report in reports),
        text=text + _journal(started) if outcome == "failed" else text,
        properties=item.user_properties,
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    item.stash[_REPORTS].append(outcome.get_result())


_REPORTS = pytest.StashKey["list[pytest.TestReport]"]()


def _journal(since: float) -> str:
    """The journal since that time."""
    command = ["journalctl", "--since", f"@{since:.6f}", "--output", "short-precise"]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, errors="replace").stdout
    return f"\n--- journal meanwhile ---\n{text}"


def _text(report: pytest.TestReport) -> str:
    if report.passed:
        return ""
    if report.skipped:
        return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    sections = (f"\n--- {name} ---\n{text}" for name, text in report.sections)
    return report.longreprtext + "".join(sections) + "\n"

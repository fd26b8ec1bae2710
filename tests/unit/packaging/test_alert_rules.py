# SPDX-License-Identifier: LGPL-2.1-or-later
"""The alert rules and the dashboard: checked by promtool, and against nestctl's metrics."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiers

METRICS = Path(tiers.__file__).parents[1] / "packaging/metrics"
RULES = METRICS / "nestd.rules.yml"
COMMAND = METRICS.parents[1] / "nestd/cli/commands/host/metrics.py"
NAME = re.compile(r"\bnestd_[a-z_]+")


def _promtool(*arguments: object) -> None:
    done = subprocess.run(
        ["promtool", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def _expressions(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["expr"]] if "expr" in value else [])
        for each in value.values():
            yield from _expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from _expressions(each)


def _dashboard() -> list[str]:
    return list(_expressions(json.loads((METRICS / "dashboard.json").read_text())))


@pytest.mark.needs("promtool")
def test_the_alerts_fire_when_they_should_and_not_before() -> None:
    _promtool("check", "rules", RULES)
    _promtool("test", "rules", METRICS / "nestd.rules.test.yml")


@pytest.mark.needs("promtool")
def test_the_dashboards_queries_are_promql(tmp_path: Path) -> None:
    found = _dashboard()
    assert len(found) > 10
    rules = [
        {"record": f"a:b{number}", "expr": text.replace("$instance", ".*")}
        for number, text in enumerate(found)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    _promtool("check", "rules", path)


def test_rules_dashboard_and_readme_name_metrics_that_nestctl_prints() -> None:
    printed = set(re.findall(r'Family\(\s*"(nestd_[a-z_]+)"', COMMAND.read_text()))
    asked = {name for text in _dashboard() for name in NAME.findall(text)}
    # Only in expressions: templates and annotations contain other words.
    asked |= {name for line in RULES.read_text().splitlines() for name in NAME.findall(line)}
    assert {name.removesuffix("_total") for name in asked} <= printed
    readme = (METRICS / "README.md").read_text()
    told = {
        name.removesuffix("_total") for name in re.findall(r"^\| `(nestd_[a-z_]+)", readme, re.M)
    }
    assert told == printed

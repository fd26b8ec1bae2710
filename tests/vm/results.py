# SPDX-License-Identifier: LGPL-2.1-or-later
"""The results of the guest's tests, read from the lines that guest/conftest.py writes.

A line is a JSON object: {"test", "start": true} before a test, {"test", "outcome", "seconds",
"text", "properties"} after it. If the machine hangs or dies, the lines up to then remain.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """The result of one test function with all its parameters; outcome is pytest's word for it."""

    outcome: str = "missing"
    seconds: float = 0.0
    text: str = ""
    properties: list[tuple[str, object]] = field(default_factory=list)


# The first of these among a function's outcomes counts.
WORST_FIRST = ("failed", "running", "passed", "skipped")


def functions(directory: Path) -> list[str]:
    """FILE::FUNCTION of every guest test, found without imports that only work in the guest."""
    return [
        f"{path.name}::{node.name}"
        for path in sorted(directory.glob("test_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def read(lines: Iterable[str]) -> dict[str, Outcome]:
    """The outcomes by FILE::FUNCTION. The last line may be incomplete."""
    tests: dict[str, Outcome] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            break
        tests.setdefault(entry["test"], Outcome("running"))
        if "outcome" in entry:
            properties = [(name, value) for name, value in entry["properties"]]
            tests[entry["test"]] = Outcome(
                entry["outcome"], entry["seconds"], entry["text"], properties
            )
    return _by_function(tests)


def _by_function(tests: dict[str, Outcome]) -> dict[str, Outcome]:
    functions: dict[str, Outcome] = {}
    for name, test in tests.items():
        whole = functions.setdefault(name.partition("[")[0], Outcome("skipped"))
        whole.outcome = min(whole.outcome, test.outcome, key=WORST_FIRST.index)
        whole.seconds += test.seconds
        whole.text += test.text
        whole.properties += test.properties
    return functions

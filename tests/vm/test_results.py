# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the host reads a guest's results, also those of one that died; no guest is booted."""

from __future__ import annotations

import json
from pathlib import Path

import guest_run
import results


def _entry(test: str, outcome: str, text: str = "", **properties: object) -> str:
    entry = {"test": test, "outcome": outcome, "seconds": 1.5, "text": text}
    return json.dumps({**entry, "properties": list(properties.items())})


def test_test_that_never_ended_is_running() -> None:
    lines = ['{"test": "test_a.py::test_x", "start": true}', '{"test": "test_a.py::te']
    assert results.read(lines) == {"test_a.py::test_x": results.Outcome("running")}


def test_parameters_of_a_test_count_as_one_and_the_worst_decides() -> None:
    lines = [
        _entry("test_a.py::test_x[1]", "skipped", "no 1"),
        _entry("test_a.py::test_x[2]", "passed", milliseconds=12),
        _entry("test_a.py::test_y", "skipped", "no y"),
        _entry("test_a.py::test_z[a::b]", "failed", "why"),
        _entry("test_a.py::test_z[c]", "passed"),
    ]
    outcomes = results.read(lines)
    assert outcomes["test_a.py::test_x"].outcome == "passed"
    assert outcomes["test_a.py::test_x"].seconds == 3.0
    assert outcomes["test_a.py::test_x"].properties == [("milliseconds", 12)]
    assert outcomes["test_a.py::test_y"] == results.Outcome("skipped", 1.5, "no y")
    assert outcomes["test_a.py::test_z"].text == "why"
    assert outcomes["test_a.py::test_z"].outcome == "failed"


def test_every_test_of_the_guest_is_known_to_the_host(tmp_path: Path) -> None:
    text = "def test_a(): pass\ndef help(): pass\nasync def test_c(): pass\ndef test_b(): pass\n"
    (tmp_path / "test_one.py").write_text(text)
    assert results.functions(tmp_path) == ["test_one.py::test_a", "test_one.py::test_b"]
    assert "test_platform.py::test_a_machine_pins_the_module" in results.functions(guest_run.TESTS)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each case of this folder on its host, against the correct answer; see README.md."""

from __future__ import annotations

from pathlib import Path

import pytest
from case import CASES, Step, host_of, read_answer, run
from private_bus import PrivateBus


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer_is_right(
    case: Path, bus: PrivateBus, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    answer = read_answer((case / "answer.txt").read_text())
    if answer.open:
        request.node.add_marker(pytest.mark.xfail(reason=answer.open, strict=True))
    with host_of(case, bus.address, tmp_path) as nestd:
        for step in answer.steps:
            _check(step, *run(case, nestd, step.command))


def _check(step: Step, output: str, code: int) -> None:
    text = " ".join(output.split())
    missing = [each for each in step.present if " ".join(each.split()) not in text]
    unwanted = [each for each in step.absent if " ".join(each.split()) in text]
    assert (missing, unwanted, code) == ([], [], step.code), f"$ {step.command}\n{output}"


def test_each_answer_asserts_something_of_a_command() -> None:
    for case in CASES:
        steps = read_answer((case / "answer.txt").read_text()).steps
        assert any(step.present or step.absent for step in steps), case.name

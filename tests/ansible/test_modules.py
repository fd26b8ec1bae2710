# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each module on simulated hosts in all situations: check mode, a run, a second run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cases
import pytest
from cases import Case
from engine import Ansible, Result, Run
from fleet import running_hosts

pytestmark = [
    pytest.mark.ansible,
    pytest.mark.skipif("NESTD_TEST_ALL" not in os.environ, reason="with tests/run --all only"),
]
CASES = {case.name: case for case in cases.all_cases()}
STEPS = {"foreseen": True, "run": False, "again": False, "foreseen again": True}


@dataclass(frozen=True)
class Outcome:
    foreseen: Result
    done: Result
    again: Result
    foreseen_again: Result


def play(hosts: Mapping[str, Case]) -> list[Mapping[str, object]]:
    """Plays that apply its case to each host, one per module, with every step of STEPS."""
    plays: list[Mapping[str, object]] = []
    for module in sorted({case.module for case in hosts.values()}):
        mine = {name: case for name, case in hosts.items() if case.module == module}
        options = sorted({option for case in mine.values() for option in case.options})
        given = {each: f"{{{{ options.{each} | default(omit) }}}}" for each in options}
        tasks = [
            {"name": step, f"nestd.kvm.{module}": given, "check_mode": check, "diff": True,
             "ignore_errors": True}
            for step, check in STEPS.items()
        ]  # fmt: skip
        variables = {"options": "{{ all_options[inventory_hostname] }}"}
        variables["all_options"] = {name: case.options for name, case in mine.items()}  # type: ignore[assignment]
        plays.append({"hosts": ",".join(mine), "vars": variables, "tasks": tasks,
                      "strategy": "free"})  # fmt: skip
    return plays


@pytest.fixture(scope="module")
def outcomes(
    newest: Ansible, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Outcome]]:
    directory = tmp_path_factory.mktemp("cases")
    hosts = [case.host for case in CASES.values()]
    with running_hosts(directory / "hosts", hosts) as members:
        run: Run = newest.playbook(directory, members, play(CASES))
        yield {name: Outcome(*(run.of(name, step) for step in STEPS)) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_a_run_does_what_is_asked(outcomes: Mapping[str, Outcome], name: str) -> None:
    case, found = CASES[name], outcomes[name].done
    assert found.error == case.refused, found.result
    assert found.status == ("failed" if case.refused else "ok"), found.result
    if not case.refused:
        assert found.changed is case.changed, found.result
    else:
        assert found.result["msg"].endswith("."), found.result


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.foreseen])
def test_check_mode_foresees_it(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    foreseen, done = outcome.foreseen, outcome.done
    assert (foreseen.status, foreseen.error) == (done.status, done.error), foreseen.result
    assert foreseen.changed is done.changed
    assert foreseen.diff == done.diff
    for key in ("waiting", "steps"):
        assert foreseen.result.get(key) == done.result.get(key)


@pytest.mark.parametrize("name", CASES)
def test_a_second_run_changes_nothing(outcomes: Mapping[str, Outcome], name: str) -> None:
    case, outcome = CASES[name], outcomes[name]
    for found in (outcome.again, outcome.foreseen_again):
        if found is outcome.again or case.foreseen:
            assert found.error == case.refused, found.result
        assert case.refused or not found.changed, found.result
        assert case.refused or found.diff == ""

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The playbook that rolls a change over a fleet of 40 simulated hosts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from engine import Ansible, Run
from fleet import Member, SimulatedHost, running_hosts

pytestmark = pytest.mark.ansible

PLAYBOOK = "nestd.kvm.rolling_change"
COUNT = 40
JOB_SECONDS = 60.0  # for an operation that takes a few tenths
FAILING = "host40"
OVERRIDDEN = ("host07", "host23")
BUSY = tuple(f"host{number:02}" for number in range(3, COUNT, 3))[:13]
# The command line and another file say "on", so they override "off".
ON = {"/etc/modprobe.d/zz.conf": "options kvm_intel nested=1\n"}


def _hosts() -> Iterator[SimulatedHost]:
    for number in range(1, COUNT + 1):
        name = f"host{number:02}"
        yield SimulatedHost(
            name,
            simulate="intel,load-fails" if name == FAILING else "intel",
            files=ON if name in OVERRIDDEN else {},
            machines=["web01"] if name in BUSY else [],
        )


def _run(ansible: Ansible, directory: Path, members: Mapping[str, Member], *more: str) -> Run:
    variables = ["-e", '{"nestd_nested": false}', *more]
    return ansible.playbook(directory, members, PLAYBOOK, *variables, forks=8)


def _outcomes(run: Run) -> dict[str, str]:
    kept = [each for each in run.results if each.task == "Name the outcome"]
    return {each.host: each.result["ansible_facts"]["nestd_outcome"] for each in kept}


def _expected(busy: str, others: str, names: Mapping[str, Member]) -> dict[str, str]:
    outcomes = {name: busy if name in BUSY else others for name in names}
    outcomes.update(dict.fromkeys(OVERRIDDEN, "Overridden"))
    outcomes[FAILING] = "RolledBack"
    return outcomes


def _nested(member: Member) -> str:
    path = member.nestd.root / "sys/module/kvm_intel/parameters/nested"
    return path.read_text().strip()


def _changed(run: Run) -> set[str]:
    return {each.host for each in run.results if each.changed and "nestd_outcome" not in str(each)}


@pytest.mark.skipif("NESTD_TEST_ALL" not in os.environ, reason="takes minutes: tests/run --all")
def test_forty_hosts(newest: Ansible, tmp_path: Path) -> None:
    with running_hosts(tmp_path / "hosts", list(_hosts())) as members:
        # All hosts but the last are done when the load on the last one fails.
        run = _run(newest, tmp_path, members)
        assert run.status != 0
        assert "No further batch is touched." in run.output
        assert _outcomes(run) == _expected("waiting", "changed", members), run.output
        still_on = {name for name, member in members.items() if _nested(member) == "Y"}
        assert still_on == {*BUSY, *OVERRIDDEN, FAILING}

        run = _run(newest, tmp_path, members)
        assert _outcomes(run) == _expected("waiting", "as asked", members), run.output
        assert _changed(run) == set()
        report = next(each for each in run.results if each.task == "Hosts by outcome")
        assert f"Overridden: {', '.join(OVERRIDDEN)}" in report.result["msg"]
        assert f"waiting: {', '.join(BUSY)}" in report.result["msg"]
        assert f"RolledBack: {FAILING}" in report.result["msg"]

        for name in BUSY:
            members[name].nestd.end_machine("web01")
        _wait_for({name: members[name] for name in BUSY}, "N")
        run = _run(newest, tmp_path, members, "-e", f"nestd_hosts=all:!{FAILING}")
        expected = _expected("as asked", "as asked", members)
        del expected[FAILING]
        assert _outcomes(run) == expected, run.output
        assert _changed(run) == set()
        assert _failed_at_the_end(run) == set(OVERRIDDEN)


def _wait_for(members: Mapping[str, Member], nested: str) -> None:
    """Wait until all of them run with that; nestd retries as soon as the machine has ended."""
    deadline = time.monotonic() + JOB_SECONDS
    while {_nested(each) for each in members.values()} != {nested}:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _failed_at_the_end(run: Run) -> set[str]:
    last = [each for each in run.results if each.task == "Fail where nothing could be changed"]
    return {each.host for each in last if each.status == "failed"}


def test_hosts_after_the_one_that_failed_stay_as_they_are(newest: Ansible, tmp_path: Path) -> None:
    hosts = [SimulatedHost("a"), SimulatedHost("b", "intel,load-fails"), SimulatedHost("c")]
    with running_hosts(tmp_path / "hosts", hosts) as members:
        run = _run(newest, tmp_path, members, "-e", '{"nestd_batches": [1]}')
        assert run.status != 0
        assert _outcomes(run) == {"a": "changed", "b": "RolledBack"}, run.output
        assert {name: _nested(each) for name, each in members.items()} == {
            "a": "N",
            "b": "Y",
            "c": "Y",
        }


def test_check_mode_changes_no_host(newest: Ansible, tmp_path: Path) -> None:
    hosts = [SimulatedHost("a"), SimulatedHost("b", machines=["web01"])]
    with running_hosts(tmp_path / "hosts", hosts) as members:
        run = _run(newest, tmp_path, members, "--check", "--diff")
        assert run.status == 0, run.output
        assert _outcomes(run) == {"a": "changed", "b": "waiting"}
        assert {_nested(each) for each in members.values()} == {"Y"}
        assert "nested=0" not in (members["b"].nestd.kvm_conf).read_text()


def test_a_second_run_changes_nothing(newest: Ansible, tmp_path: Path) -> None:
    hosts = [
        SimulatedHost("busy", machines=["web01"]),
        SimulatedHost("free"),
        SimulatedHost("lost", files=ON),
    ]
    with running_hosts(tmp_path / "hosts", hosts) as members:
        run = _run(newest, tmp_path, members, "-e", '{"nestd_batches": [1, 2]}')
        assert _outcomes(run) == {"busy": "waiting", "free": "changed", "lost": "Overridden"}
        assert _nested(members["free"]) == "N"
        assert _nested(members["busy"]) == "Y"
        run = _run(newest, tmp_path, members, "-e", '{"nestd_batches": [3]}')
        assert _outcomes(run) == {"busy": "waiting", "free": "as asked", "lost": "Overridden"}
        assert _changed(run) == set()
        assert run.status != 0
        assert _failed_at_the_end(run) == {"lost"}

        members["busy"].nestd.end_machine("web01")
        _wait_for({"busy": members["busy"]}, "N")
        run = _run(newest, tmp_path, members, "-e", '{"nestd_batches": [3]}')
        assert _outcomes(run) == {"busy": "as asked", "free": "as asked", "lost": "Overridden"}

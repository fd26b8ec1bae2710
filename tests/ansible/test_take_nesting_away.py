# SPDX-License-Identifier: LGPL-2.1-or-later
"""The playbook that switches nesting off on hosts where no guest uses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from engine import Ansible, Run
from fleet import Member, SimulatedHost, running_hosts

pytestmark = pytest.mark.ansible

PLAYBOOK = "nestd.kvm.take_nesting_away"
HOSTS = [
    SimulatedHost("free"),
    # A guest without what a hypervisor needs.
    SimulatedHost("plain", machines=["web01"]),
    # Two guests could use nesting, and the second does: see nestd(8).
    SimulatedHost("uses", "intel,guests=2"),
    SimulatedHost("could", "intel,guests=2"),
    SimulatedHost("lost", files={"/etc/modprobe.d/zz.conf": "options kvm_intel nested=1\n"}),
]
EXPECTED = {
    "free": "changed",
    "plain": "waiting",
    "uses": "in use",
    "could": "waiting",
    "lost": "Overridden",
}


def _outcomes(run: Run) -> dict[str, str]:
    """The last outcome that was set for each host."""
    kept = [each for each in run.results if "nestd_outcome" in str(each.result)]
    facts = [(each.host, each.result.get("ansible_facts", {})) for each in kept]
    return {host: found["nestd_outcome"] for host, found in facts if "nestd_outcome" in found}


def _nested(members: Mapping[str, Member]) -> dict[str, str]:
    path = "sys/module/kvm_intel/parameters/nested"
    return {name: (each.nestd.root / path).read_text().strip() for name, each in members.items()}


def test_only_where_no_guest_uses_it(newest: Ansible, tmp_path: Path) -> None:
    with running_hosts(tmp_path / "hosts", HOSTS) as members:
        members["could"].nestd.end_machine("guest2")
        run = newest.playbook(tmp_path, members, PLAYBOOK)
        assert _outcomes(run) == EXPECTED, run.output
        assert _nested(members) == dict.fromkeys(members, "Y") | {"free": "N"}
        assert run.of("uses", "Tell who uses it").result["msg"] == "guest2"
        assert "nested=0" not in members["uses"].nestd.kvm_conf.read_text()
        [report] = [each.result["msg"] for each in run.results if each.task == "Hosts by outcome"]
        assert report == [
            *("changed: free", "in use: uses", "Overridden: lost", "waiting: could, plain")
        ]
        assert {each.host for each in run.results if each.status == "failed"} == {"lost"}

        for name, guest in (("plain", "web01"), ("could", "guest1"), ("uses", "guest2")):
            members[name].nestd.end_machine(guest)
        run = newest.playbook(tmp_path, members, PLAYBOOK)
        # One guest of this host could use it but does not: the change waits until that guest ends.
        assert _outcomes(run) == EXPECTED | {
            "free": "as asked",
            "plain": "as asked",
            "could": "as asked",
            "uses": "waiting",
        }


def test_it_stops_at_the_first_reload_that_failed(newest: Ansible, tmp_path: Path) -> None:
    hosts = [SimulatedHost("a"), SimulatedHost("b", "intel,load-fails"), SimulatedHost("c")]
    with running_hosts(tmp_path / "hosts", hosts) as members:
        run = newest.playbook(tmp_path, members, PLAYBOOK, "-e", '{"nestd_batches": [1]}')
        assert run.status != 0
        assert _outcomes(run) == {"a": "changed", "b": "RolledBack"}, run.output
        assert _nested(members) == {"a": "N", "b": "Y", "c": "Y"}
        [report] = [each.result["msg"] for each in run.results if each.task == "Hosts by outcome"]
        assert report == ["changed: a", "RolledBack: b", "not reached: c"]

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures the cost of a host with nothing to change, beyond Ansible's own ping of it.

    PYTHONPATH=tests:tests/ansible python tests/ansible/measure_cost.py [HOSTS]

Each module that makes changes runs on simulated hosts that are already in the desired state, one
after the other (forks 1); the figures are seconds per host, wall-clock and processor time.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import engine
from fleet import Member, SimulatedHost, many_watches, running_hosts

TASKS = {
    "nested": {"nestd.kvm.nested": {"enabled": True}},
    "nested, when idle": {"nestd.kvm.nested": {"enabled": True, "when": "idle"}},
    "module_parameters": {
        "nestd.kvm.module_parameters": {"module": "kvm", "parameters": {"halt_poll_ns": 50000}}
    },
    "log_filters": {"nestd.kvm.log_filters": {"daemon": "virtqemud", "filters": ["3:qemu"]}},
    "info": {"nestd.kvm.info": {}},
}
PING = {"ansible.builtin.ping": {}}


def _cost(
    ansible: engine.Ansible, directory: Path, members: Mapping[str, Member], task: object
) -> tuple[float, float]:
    """Seconds per host, wall-clock and processor time."""
    play = [{"hosts": "all", "tasks": [task]}]
    ansible.playbook(directory, members, play, forks=1)  # now they are in the desired state
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = ansible.playbook(directory, members, play, forks=1)
    took = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.status == 0, run.output
    assert not any(each.changed for each in run.results), run.output
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took / len(members), processor / len(members)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    ansible = engine.make(engine.NEWEST)
    hosts = [SimulatedHost(f"host{number}") for number in range(count)]
    with tempfile.TemporaryDirectory() as name, many_watches():
        directory = Path(name)
        with running_hosts(directory / "hosts", hosts) as members:
            ping = _cost(ansible, directory, members, PING)
            print(f"{'ping':20} {ping[0]:6.2f} s {ping[1]:6.2f} s")
            for title, task in TASKS.items():
                took, processor = _cost(ansible, directory, members, task)
                print(f"{title:20} {took - ping[0]:+6.2f} s {processor - ping[1]:+6.2f} s")


if __name__ == "__main__":
    main()

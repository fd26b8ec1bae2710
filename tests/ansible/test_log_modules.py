# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debug sessions and log filters from one state to the next; check mode predicts each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from engine import Ansible, Result, Run
from fleet import SimulatedHost, running_hosts

pytestmark = pytest.mark.ansible

DAEMON = {"daemon": "virtqemud"}
SESSION, FILTERS = "nestd.kvm.debug_session", "nestd.kvm.log_filters"
# The task's options, and whether it changes anything or how it fails.
STEPS: Sequence[tuple[str, Mapping[str, object], bool | str]] = (
    (SESSION, {"duration": "8d"}, "InvalidArgs"),
    (SESSION, {"duration": "soon"}, "InvalidArgs"),
    (SESSION, {"max_size": "much"}, "InvalidArgs"),
    (SESSION, {"filters": []}, "InvalidFilter"),
    (SESSION, {"daemon": "libvirtd"}, "InvalidArgs"),
    (SESSION, {"outputs": ["1:file:/root/x"]}, "InvalidOutput"),
    (SESSION, {"duration": "1h", "max_size": "500M"}, True),
    (SESSION, {}, False),
    (SESSION, {"preset": "qemu"}, False),
    (FILTERS, {"filters": ["3:qemu"]}, "Busy"),
    (FILTERS, {"filters": ["3:qemu"], "when": "runtime"}, "Busy"),
    (FILTERS, {"filters": ["3:qemu"], "when": "start"}, True),
    (SESSION, {"filters": ["1:rpc 1:qemu"]}, True),
    (SESSION, {"filters": ["1:rpc", "1:qemu"]}, False),
    (SESSION, {"state": "stopped"}, True),
    (SESSION, {"state": "stopped"}, False),
    (FILTERS, {"filters": ["3:qemu"], "when": "start"}, False),
    (FILTERS, {"filters": ["3:qemu"]}, True),
    (FILTERS, {"filters": ["3:qemu"], "when": "runtime"}, False),
    (FILTERS, {"filters": [], "when": "runtime"}, True),
    (FILTERS, {"filters": ["3:qemu"]}, True),
    (FILTERS, {"preset": "nonesuch"}, "InvalidArgs"),
)


def _tasks() -> Iterator[Mapping[str, object]]:
    for number, (module, options, _) in enumerate(STEPS):
        for check in (True, False):
            name = f"{number} {'foreseen' if check else 'done'}"
            yield {"name": name, module: {**DAEMON, **options}, "check_mode": check,
                   "diff": True, "ignore_errors": True}  # fmt: skip


@pytest.fixture(scope="module")
def run(newest: Ansible, tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("logs")
    with running_hosts(directory / "hosts", [SimulatedHost("host")]) as members:
        return newest.playbook(directory, members, [{"hosts": "all", "tasks": list(_tasks())}])


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_step_does_what_check_mode_foresees(run: Run, number: int) -> None:
    foreseen, done = (run.of("host", f"{number} {word}") for word in ("foreseen", "done"))
    _, _, expected = STEPS[number]
    assert _outcome(done) == expected, done.result
    assert _outcome(foreseen) == expected, foreseen.result
    assert foreseen.diff == done.diff
    assert foreseen.result.get("msg") == done.result.get("msg")


def _outcome(found: Result) -> bool | str:
    return found.error if found.status == "failed" else found.changed


def test_the_session_has_what_was_asked(run: Run, tmp_path: Path) -> None:
    begun = run.of("host", "6 done").result["daemon"]
    assert begun["debug_until"] > 0
    again = run.of("host", "7 done").result["daemon"]
    assert again["debug_until"] == begun["debug_until"], "it has the time that was left"
    assert run.of("host", "12 done").result["daemon"]["debug_filters"] == "1:rpc 1:qemu"
    assert run.of("host", "14 done").result["daemon"]["debug_until"] == 0

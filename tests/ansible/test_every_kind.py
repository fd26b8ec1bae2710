# SPDX-License-Identifier: LGPL-2.1-or-later
"""Check mode against a real run of every module, task by task, on hosts of each kind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import engine
import pytest
from engine import Ansible
from fleet import Member, SimulatedHost, running_hosts

from nestd.formats.simulation import ARM_ALONE, KINDS, SITUATIONS

pytestmark = pytest.mark.ansible

RUN_MODULES = Path(__file__).with_name("run_modules.py")
VALUES = {"guests": "3", "guest-of": "kvm", "kvm-arm-mode": "nested"}
# Check mode cannot know that the kernel will refuse to load a module.
FAILED_LOADS = ("RolledBack", "ReloadFailed", "NotRestored")
FAILING = ("load-fails", "rollback-fails")
GUESTS = """
<domain type='kvm'><name>a</name><memory>1048576</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os><cpu mode='host-passthrough'/></domain>
<domain type='qemu'><name>b</name></domain>
"""
Task = tuple[str, Mapping[str, object]]


def _situation(name: str) -> str:
    return f"{name}={VALUES[name]}" if SITUATIONS[name].value else name


def _hosts() -> Iterator[str]:
    """Every kind; with --all, every kind in every situation."""
    yield from KINDS
    if "NESTD_TEST_ALL" not in os.environ:
        return
    for name in SITUATIONS:
        if name not in ARM_ALONE:
            yield from (f"{kind},{_situation(name)}" for kind in KINDS)
    yield from (f"arm64,{_situation(name)}" for name in ARM_ALONE)


def _tasks(kind: str, archive: Path) -> Sequence[Task]:
    daemon = {"daemon": "libvirtd" if kind == "power" else "virtqemud"}
    idle = {"when": "idle"}
    poll = {"module": "kvm", "parameters": {"halt_poll_ns": 50000}}
    return (
        ("guest_check", {"xml": GUESTS}),
        ("info", {"gather": ["guests", "posture"]}),
        ("nested", {"enabled": True}),
        ("nested", {"enabled": False}),
        ("nested", {"enabled": True, **idle}),
        ("nested", {"enabled": False, **idle}),
        ("nested", {"enabled": True, "when": "boot"}),
        ("nested", {"enabled": True, **idle}),
        ("module_parameters", poll),
        ("module_parameters", {**poll, "state": "absent", **idle}),
        ("log_filters", {**daemon, "filters": ["3:qemu", "4:util"]}),
        ("log_filters", {**daemon, "filters": [], "when": "runtime"}),
        ("debug_session", {**daemon, "duration": "1h"}),
        ("log_filters", {**daemon, "preset": "qemu", "when": "start"}),
        ("debug_session", {**daemon, "state": "stopped"}),
        ("support_archive", {"dest": str(archive)}),
    )


def _results(ansible: Ansible, member: Member, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """The results of each task in check mode, then of a real run."""
    given = [
        {"module": module, "options": options, "check": check}
        for module, options in tasks
        for check in (True, False)
    ]
    [packages] = ansible.programs.parent.glob("lib/python*/site-packages")
    done = subprocess.run(
        [member.python, RUN_MODULES],
        input=json.dumps(given),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{packages}:{ansible.collections}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=engine.SECONDS,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == len(given), done.stdout
    return [json.loads(line) for line in lines]


def _outcome(result: Mapping[str, Any]) -> str:
    """The last word of an error's name, a failure's message, or whether it changed something."""
    if "error" in result:
        return str(result["error"]["name"]).rpartition(".")[2]
    return result["msg"] if result.get("failed") else f"changed: {result['changed']}"


def _compare(
    simulate: str, task: Task, foreseen: Mapping[str, Any], done: Mapping[str, Any]
) -> None:
    told = f"{simulate}: {task}\nforeseen {foreseen}\ndone {done}"
    if _outcome(done) in FAILED_LOADS:
        assert simulate.partition(",")[2] in FAILING, told
        return
    assert _outcome(foreseen) == _outcome(done), told
    for key in ("msg", "diff", "steps", "blockers", "warnings"):
        assert foreseen.get(key) == done.get(key), told
    if "slow" not in simulate:  # while a reload is still running it "waits"
        assert foreseen.get("waiting") == done.get("waiting"), told
    if task[0] in ("guest_check", "info"):
        assert {**foreseen, "invocation": ""} == {**done, "invocation": ""}, told


@pytest.mark.parametrize("simulate", tuple(_hosts()))
def test_check_mode_foresees_each_task(newest: Ansible, tmp_path: Path, simulate: str) -> None:
    tasks = _tasks(simulate.partition(",")[0], tmp_path / "archive.tar.gz")
    with running_hosts(tmp_path / "hosts", [SimulatedHost("host", simulate)]) as members:
        results = _results(newest, members["host"], tasks)
    for task, foreseen, done in zip(tasks, results[::2], results[1::2]):
        _compare(simulate, task, foreseen, done)
    if simulate in ("intel", "amd"):  # without obstacles each of them changes something
        outcomes = [_outcome(done) for done in results[1::2]]
        assert outcomes == ["changed: False"] * 2 + ["changed: True"] * (len(tasks) - 2)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every system call of a change that alters something, with the machine's worst at each.

A transaction is recorded once under strace. Then it runs again for each system call that changes a
file or asks the kernel for something, and at that call nestd is killed, or the call fails with
ENOSPC, EIO or EROFS. (Killing at the calls between these leaves the same files and modules as
killing at the next one that alters something.) After nestd's next start the host has to be in the
old state or in the new one, with the module loaded and nothing foreign lost.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import scenarios
from scenarios import SCENARIOS, Scenario

from nestd.host.root import Root
from nestd.host.simulated.kernel import SimulatedKernel

ALTERING = (
    "openat", "write", "sendto", "rename", "link", "unlink", "mkdir", "fsync",
    "chmod", "fchmod", "fchown", "fsetxattr", "ftruncate",
)  # fmt: skip
FAULTS = ("signal=KILL", "error=ENOSPC", "error=EIO", "error=EROFS")
# A kill is what happens at a request to the kernel; whether it fails is the kernel's business.
KILL_ONLY = ("sendto",)
_CALL = re.compile(r"^(\w+)\(")


@dataclass(frozen=True)
class Host:
    root: Path
    scenario: Scenario

    @property
    def kvm_conf(self) -> bytes | None:
        path = self.root / "etc/modprobe.d/kvm.conf"
        return path.read_bytes() if path.exists() else None

    @property
    def nested(self) -> str:
        path = self.root / f"sys/module/{self.scenario.module}/parameters/nested"
        return path.read_text().strip() if path.exists() else "not loaded"

    def foreign(self) -> dict[str, bytes]:
        """All other configuration, by name: leftovers show up here."""
        directory = self.root / "etc/modprobe.d"
        names = sorted(set(os.listdir(directory)) - {"kvm.conf"})
        return {name: (directory / name).read_bytes() for name in names}

    def records(self) -> list[str]:
        directory = self.root / "run/nestd/transactions"
        return os.listdir(directory) if directory.exists() else []


@dataclass(frozen=True)
class Point:
    """One system call of the transaction, and what goes wrong at it."""

    call: str
    number: int
    fault: str


@pytest.mark.crash
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_old_or_new_at_every_system_call(scenario: Scenario, tmp_path: Path) -> None:
    template = _template(scenario, tmp_path / "template")
    old_file, old_nested, foreign = template.kvm_conf, template.nested, template.foreign()
    record = tmp_path / "record"
    finished = _host(template, tmp_path / "recorded")
    _run(finished, ["-o", str(record)])
    new = (finished.kvm_conf, finished.nested)
    assert (new != (old_file, old_nested)) is scenario.succeeds
    assert finished.foreign() == foreign
    points = list(_points(record.read_text()))
    outcomes: Counter[str] = Counter()
    for point in points:
        host = _host(template, tmp_path / "host")
        inject = f"inject={point.call}:{point.fault}:when={point.number}"
        _run(host, ["-o", "/dev/null", "-e", inject])
        _start_again(host)
        state = (host.kvm_conf, host.nested)
        assert state in ((old_file, old_nested), new), point
        assert host.foreign() == foreign, point
        assert host.records() == [], point
        outcomes["new" if state == new else "old"] += 1
        shutil.rmtree(host.root)
    print(f"{scenario.name}: {len(points)} points tried, {dict(outcomes)}")
    assert len(points) > 20


def _template(scenario: Scenario, path: Path) -> Host:
    SimulatedKernel(Root(path), scenario.kind)
    (path / "etc/modprobe.d/other.conf").write_bytes(b"# \xff somebody's\r\noptions x y=1\n")
    scenario.prepare(path)
    return Host(path, scenario)


def _host(template: Host, path: Path) -> Host:
    shutil.copytree(template.root, path, symlinks=True)
    return Host(path, template.scenario)


def _points(record: str) -> Iterator[Point]:
    seen: Counter[str] = Counter()
    for line in record.splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        call = found.group(1)
        seen[call] += 1
        reading = call == "openat" and "O_CREAT" not in line
        if call not in ALTERING or reading:
            continue
        for fault in FAULTS if call not in KILL_ONLY else FAULTS[:1]:
            yield Point(call, seen[call], fault)


def _run(host: Host, strace: list[str]) -> None:
    """Let a process change the host while strace watches it, and be its kernel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _child(host, theirs)
    theirs.close()
    assert ours.recv(64) == b"ready"
    command = ["strace", "-p", str(pid), *strace]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stderr is not None
        assert "attached" in watcher.stderr.readline()
        ours.send(b"go")
        _serve(host, ours)
        os.waitpid(pid, 0)


def _start_again(host: Host) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            scenarios.start_again(host.scenario, host.root, theirs)
        finally:
            os._exit(0)
    theirs.close()
    _serve(host, ours)
    _, status = os.waitpid(pid, 0)
    assert status == 0


def _child(host: Host, requests: socket.socket) -> None:
    def begin() -> None:
        requests.send(b"ready")
        assert requests.recv(64) == b"go"

    try:
        scenarios.request_change(host.scenario, host.root, requests, begin)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)  # nothing of the test's own after it


def _serve(host: Host, requests: socket.socket) -> None:
    kernel = SimulatedKernel(Root(host.root), host.scenario.kind)
    with requests:
        while scenarios.serve(kernel, requests):
            pass

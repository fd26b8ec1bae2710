# SPDX-License-Identifier: LGPL-2.1-or-later
"""A crash or an I/O error at every system call of a change that alters something.

A transaction is recorded once under strace. Then it runs again for each system call that changes a
file or sends the kernel a request, and at that call nestd is killed, or the call fails with ENOSPC,
EIO or EROFS. (A kill at a call between these leaves the same files and modules as a kill at the
next one that alters something.) After nestd's next start the host must be in the old or the new
state, with the module loaded and no foreign configuration lost.
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
    "openat", "write", "sendto", "rename", "renameat2", "link", "unlink", "mkdir", "fsync",
    "chmod", "fchmod", "fchown", "fsetxattr", "ftruncate",
)  # fmt: skip
KILL = "signal=KILL"
FAULTS = (KILL, "error=ENOSPC", "error=EIO", "error=EROFS")
# Pairs of faults tried per scenario; tests/run --all tries all of them.
SAMPLE = 8
# At a request to the kernel the only fault is a kill; the kernel decides whether it fails.
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
    def state(self) -> tuple[object, ...]:
        """The file, and the running state of the modules that the scenario is about."""
        found: list[object] = [self.kvm_conf]
        for module, parameter in self.scenario.watched:
            path = self.root / f"sys/module/{module}/parameters/{parameter}"
            found.append(path.read_text().strip() if path.exists() else "not loaded")
        return tuple(found)

    def foreign(self) -> dict[str, bytes]:
        """All other configuration by file name; leftovers show up here."""
        directory = self.root / "etc/modprobe.d"
        names = sorted(set(os.listdir(directory)) - {"kvm.conf"})
        return {name: (directory / name).read_bytes() for name in names}

    def records(self) -> list[str]:
        directory = self.root / "run/nestd/transactions"
        return os.listdir(directory) if directory.exists() else []


@dataclass(frozen=True)
class Point:
    """One system call of the transaction, and the fault at it."""

    call: str
    number: int
    fault: str

    @property
    def injection(self) -> str:
        return f"inject={self.call}:{self.fault}:when={self.number}"


@pytest.mark.crash
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_old_or_new_at_every_system_call(scenario: Scenario, tmp_path: Path) -> None:
    template, old, new = _recorded(scenario, tmp_path)
    foreign = template.foreign()
    points = list(_points((tmp_path / "record").read_text()))
    outcomes: Counter[str] = Counter()
    for point in points:
        host = _host(template, tmp_path / "host")
        reports = _run(host, ["-o", "/dev/null", "-e", point.injection])
        _check_report(host, reports, old, new, point)
        _start_again(host)
        assert host.state in (old, new), point
        assert host.foreign() == foreign, point
        assert host.records() == [], point
        outcomes["new" if host.state == new else "old"] += 1
        shutil.rmtree(host.root)
    print(f"{scenario.name}: {len(points)} points tried, {dict(outcomes)}")
    assert len(points) > 20


@pytest.mark.crash
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_fault_and_another_one_in_its_undo(scenario: Scenario, tmp_path: Path) -> None:
    """The caller gets the true result, and the next start reaches the old or the new state."""
    template, old, new = _recorded(scenario, tmp_path)
    points = [each for each in _points((tmp_path / "record").read_text()) if each.fault != KILL]
    every = bool(os.environ.get("NESTD_TEST_ALL"))
    chosen = []
    for point in points if every else points[:: len(points) // SAMPLE + 1]:
        later = list(_after(template, point, tmp_path))
        chosen += [(point, each) for each in (later if every else later[len(later) // 2 :][:1])]
    outcomes: Counter[str] = Counter()
    for pair in chosen:
        host = _host(template, tmp_path / "host")
        injections = [each for point in _merged(*pair) for each in ("-e", point)]
        reports = _run(host, ["-o", "/dev/null", *injections])
        outcomes[_check_report(host, reports, old, new, pair)] += 1
        _start_again(host)
        assert host.state in (old, new), pair
        assert host.foreign() == template.foreign(), pair
        assert host.records() == [], pair
        shutil.rmtree(host.root)
    print(f"{scenario.name}: {len(chosen)} pairs tried, {dict(outcomes)}")
    assert chosen


def _recorded(
    scenario: Scenario, path: Path
) -> tuple[Host, tuple[object, ...], tuple[object, ...]]:
    """The host, its state before and after the scenario; the trace is in PATH / "record"."""
    template = _template(scenario, path / "template")
    finished = _host(template, path / "recorded")
    _run(finished, ["-o", str(path / "record")])
    assert (finished.state != template.state) is scenario.succeeds
    assert finished.foreign() == template.foreign()
    return template, template.state, finished.state


def _check_report(
    host: Host,
    reports: list[str],
    old: tuple[object, ...],
    new: tuple[object, ...],
    where: object,
) -> str:
    """The caller's result, if nestd lived to report one, is true before a restart.

    Returns the name of the error, "" for none.
    """
    if not reports:
        return "killed"
    [text] = reports
    name = text.partition(":")[0]
    if not text:
        assert host.state == new, (where, text)
    elif name in ("NotRestored", "ReloadFailed"):
        assert host.state != old, (where, text)
    elif name != "failed":  # a job's result, which has no error name
        assert host.state == old, (where, text)
    return name


def _template(scenario: Scenario, path: Path) -> Host:
    SimulatedKernel(Root(path), scenario.kind)
    (path / "etc/modprobe.d/other.conf").write_bytes(b"# \xff somebody's\r\noptions x y=1\n")
    scenario.prepare(path)
    return Host(path, scenario)


def _host(template: Host, path: Path) -> Host:
    shutil.copytree(template.root, path, symlinks=True)
    return Host(path, template.scenario)


def _after(template: Host, point: Point, path: Path) -> Iterator[Point]:
    """The points that follow POINT when that one fails."""
    host = _host(template, path / "failed")
    record = path / "failed-record"
    _run(host, ["-o", str(record), "-e", point.injection])
    shutil.rmtree(host.root)
    for later in _points(record.read_text(), after=point):
        if later.fault == point.fault:
            yield later


def _merged(first: Point, second: Point) -> list[str]:
    """strace's injections for both points; strace accepts only one per system call."""
    if first.call != second.call:
        return [first.injection, second.injection]
    step = second.number - first.number
    when = f"{first.number}..{second.number}+{step}"
    return [f"inject={first.call}:{first.fault}:when={when}"]


def _points(record: str, after: Point | None = None) -> Iterator[Point]:
    seen: Counter[str] = Counter()
    begun = after is None
    for line in record.splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        call = found.group(1)
        seen[call] += 1
        reading = call == "openat" and "O_CREAT" not in line
        if after is not None and (call, seen[call]) == (after.call, after.number):
            begun = True
            continue
        if call not in ALTERING or reading or not begun:
            continue
        for fault in FAULTS if call not in KILL_ONLY else FAULTS[:1]:
            yield Point(call, seen[call], fault)


def _run(host: Host, strace: list[str]) -> list[str]:
    """Run a process that changes the host under strace, and act as its kernel.

    Returns what the process reported to its caller, nothing if it was killed.
    """
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
        reports = _serve(host, ours)
        os.waitpid(pid, 0)
    return reports


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
        text = scenarios.request_change(host.scenario, host.root, requests, begin)
        scenarios.report(requests, text)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)  # no calls by the test itself after it


def _serve(host: Host, requests: socket.socket) -> list[str]:
    kernel = SimulatedKernel(Root(host.root), host.scenario.kind)
    reports: list[str] = []
    with requests:
        while scenarios.serve(kernel, requests, reports):
            pass
    return reports

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The virtual machines of a simulated host, and the files in which the host shows them.

A machine is a file in the root's /simulated/machines: creating the file starts the machine,
removing it ends the machine. The content selects the machine's nesting:

    (empty)     its processor has no vmx, svm, nested-hv or sie
    exposed     its processor has it
    nesting     its processor has it, and the machine runs a guest of its own

If the host's nesting is off, no machine has it, whatever the file says.

Each appears like QEMU under libvirt: a process with KVM's descriptors, the domain's definition,
live state and log, and KVM's directory in debugfs.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from nestd.host.root import Root
from nestd.host.simulated import arm, domain
from nestd.host.simulated.domain import Nesting

MACHINES = "/simulated/machines"
RUNS_A_TICK = 400  # entries into the nested guest per interval
_LIVE = "/run/libvirt/qemu"
_DEFINITIONS = "/etc/libvirt/qemu"
_LOGS = "/var/log/libvirt/qemu"
_DEBUGFS = "/sys/kernel/debug/kvm"
_FIRST_PID = 4711
_OWN_FILE = "fd/3"  # of a machine's process: links to its file in MACHINES
_MACHINE_FD = 12
_LONGEST_COMMAND = 15  # the kernel's limit (TASK_COMM_LEN)
_NESTED = {
    "intel": "/sys/module/kvm_intel/parameters/nested",
    "amd": "/sys/module/kvm_amd/parameters/nested",
    "power": "/sys/module/kvm_hv/parameters/nested",
    "s390": "/sys/module/kvm/parameters/nested",
}


class Machines:
    """The machines of the host below ROOT, of this kind."""

    def __init__(self, root: Root, kind: str) -> None:
        self._root = root
        self._kind = kind

    def names(self) -> list[str]:
        """The names of the present machines."""
        return os.listdir(self._root.at(MACHINES))

    def start(self, name: str, nesting: Nesting = Nesting.NONE) -> None:
        """Start a machine."""
        self._root.at(f"{MACHINES}/{name}").write_text(nesting.value)

    def show(self) -> list[str]:
        """Make the host show the present machines; returns their names."""
        with _alone(self._root.at(MACHINES)):
            names = self.names()
            self._show_processes(set(names))
        return names

    def run_nested(self) -> bool:
        """Let machines with nested guests run them for a while; whether there are any."""
        found = False
        for name, process in self._processes():
            nests = self.nesting_of(name) is Nesting.GUEST and self._host_gives_nesting()
            if nests and self._counts_nested_runs():
                found = True
                self._count(process.name, RUNS_A_TICK)
        return found

    def _processes(self) -> Iterator[tuple[str, Path]]:
        for process in self._root.at("/proc").glob("[0-9]*"):
            name = _machine_of(process)
            if name:
                yield name, process

    def _show_processes(self, machines: set[str]) -> None:
        """Create one process for each of MACHINES, with the same PID while the machine runs."""
        taken = set()
        for name, process in list(self._processes()):
            if name in machines:
                machines.discard(name)
                taken.add(process.name)
            else:
                shutil.rmtree(process)
                self._forget(name, process.name)
        for name in sorted(machines):
            # Usually the same number each time, so that examples in texts stay valid.
            first = _FIRST_PID + sum(os.fsencode(name)) * 31 % 25000
            pid = next(pid for pid in map(str, itertools.count(first)) if pid not in taken)
            taken.add(pid)
            self._show(name, pid)

    def _show(self, name: str, pid: str) -> None:
        nesting = self.nesting_of(name) if self._host_gives_nesting() else Nesting.NONE
        description = domain.describe(self._kind, name, nesting)
        self._show_process(name, pid, description)
        state = self._root.at(_LIVE)
        with contextlib.suppress(OSError):  # the name is too long for a suffix
            _write(state / f"{name}.pid", pid.encode(), 0o600)
            _write(state / f"{name}.xml", description.live_xml(pid), 0o600)
            definition = self._root.at(f"{_DEFINITIONS}/{name}.xml")
            if not definition.exists():
                _write(definition, description.definition(), 0o600)
            log = self._root.at(f"{_LOGS}/{name}.log")
            _append(log, f"{_now()}: starting up libvirt\n".encode() + description.log_line())
        _write(self._root.at(f"{_DEBUGFS}/{pid}-{_MACHINE_FD}/exits"), b"0\n", 0o644)
        if self._counts_nested_runs():
            self._count(pid, RUNS_A_TICK if nesting is Nesting.GUEST else 0)

    def _show_process(self, name: str, pid: str, description: domain.Domain) -> None:
        directory = self._root.at(f"/proc/{pid}")
        (directory / "fd").mkdir(parents=True)
        (directory / _OWN_FILE).symlink_to(f"{MACHINES}/{name}")
        (directory / "fd" / "11").symlink_to("/dev/kvm")
        (directory / "fd" / str(_MACHINE_FD)).symlink_to("anon_inode:kvm-vm")
        (directory / "exe").symlink_to(description.processor.emulator)
        command = description.processor.emulator.rpartition("/")[2][:_LONGEST_COMMAND]
        (directory / "comm").write_text(f"{command}\n")
        ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        (directory / "stat").write_text(f"{pid} ({command}) S 1 {'0 ' * 17}{ticks} 0 0\n")
        (directory / "cmdline").write_bytes(description.command_line())
        group = b"0::/machine.slice/machine-qemu-" + os.fsencode(name) + b".scope\n"
        (directory / "cgroup").write_bytes(group)

    def _forget(self, name: str, pid: str) -> None:
        """Remove the process; the definition and the log stay, as with libvirt."""
        for suffix in ("pid", "xml"):
            with contextlib.suppress(OSError):
                self._root.at(f"{_LIVE}/{name}.{suffix}").unlink()
        shutil.rmtree(self._root.at(f"{_DEBUGFS}/{pid}-{_MACHINE_FD}"), ignore_errors=True)

    def nesting_of(self, name: str) -> Nesting:
        try:
            words = self._root.at(f"{MACHINES}/{name}").read_text("ascii", "replace").strip()
            return Nesting(words)
        except (OSError, ValueError):
            return Nesting.NONE

    def _host_gives_nesting(self) -> bool:
        if self._kind not in _NESTED:
            return arm.nests(self._root)
        try:
            return self._root.at(_NESTED[self._kind]).read_text().strip() in ("Y", "1")
        except OSError:
            return False

    def _counts_nested_runs(self) -> bool:
        """Whether KVM counts nested runs: on x86 only (POWER's RHEL 8 kernel is too old)."""
        return self._kind in ("intel", "amd")

    def _count(self, pid: str, more: int) -> None:
        """Add MORE to KVM's statistics of a machine: those of its one vCPU, and their sum."""
        directory = self._root.at(f"{_DEBUGFS}/{pid}-{_MACHINE_FD}")
        try:
            count = int((directory / "nested_run").read_text()) + more
        except (OSError, ValueError):
            count = more
        for place in (directory, directory / "vcpu0"):
            _write(place / "nested_run", f"{count}\n".encode(), 0o644)
            _write(place / "guest_mode", b"0\n", 0o444)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Lock out other processes that simulate the kernel of the same root."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _machine_of(process: Path) -> str:
    """The machine that PROCESS belongs to; "" if none."""
    try:
        directory, _, name = os.readlink(process / _OWN_FILE).rpartition("/")
    except OSError:
        return ""
    return name if directory == MACHINES else ""


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.chmod(mode)
    temporary.rename(path)


def _append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.000+0000", time.gmtime())

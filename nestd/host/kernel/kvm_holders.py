# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds the processes that use KVM in /proc. For explanations only: unlike a refcount it is racy.

Reading other users' /proc/PID/fd needs CAP_SYS_PTRACE. A scan took 77 ms for 1,079 processes: run
it in a worker thread, on demand.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from nestd.formats.printable import printable
from nestd.host.root import Root

_MACHINE_LINK = "anon_inode:kvm-vm"
_VCPU_LINK = "anon_inode:kvm-vcpu"
_OF_MACHINE = (_MACHINE_LINK, _VCPU_LINK)
_DEVICE_LINK = "/dev/kvm"
_CAP_SYS_PTRACE = 19  # include/uapi/linux/capability.h
_READ_BYTES = 1 << 20  # of a /proc file: a process can make its arguments arbitrarily long


@dataclass(frozen=True)
class KvmHolder:
    """One process that uses KVM: it has virtual machines, or merely /dev/kvm open.

    Text chosen by the process is made printable.
    """

    pid: int
    machine: bool  # holds a virtual machine (its descriptor, or that of a virtual CPU)
    executable: str  # basename of /proc/PID/exe, or the command's name
    guest: str  # the libvirt domain's name, "" if unknown
    unit: str  # the systemd unit or scope, "" if none


Describe = Callable[[Path, bool], KvmHolder]
"""Describes the process below a path; the flag says whether it holds a virtual machine."""


class MachineLinks:
    """Remembers which descriptor of each process is its virtual machine.

    A process that still has it there is not searched again. The search takes most of the time,
    since QEMU has dozens of descriptors.
    """

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def find(self, process: Path) -> bool | None:
        """Whether the process below PROCESS holds a virtual machine; None if it has no KVM
        descriptor at all, is gone or cannot be inspected."""
        pid = int(process.name)
        known = self._known.get(pid)
        if known is not None and _link(known).startswith(_OF_MACHINE):
            return True
        found = None
        try:
            with os.scandir(process / "fd") as entries:
                for entry in entries:
                    link = _link(entry.path)
                    if link.startswith(_OF_MACHINE):
                        self._known[pid] = entry.path
                        return True
                    if link == _DEVICE_LINK:
                        found = False
        except OSError:
            return None
        return found

    def forget_all_but(self, pids: Set[int]) -> None:
        """Forget all processes except PIDS."""
        self._known = {pid: path for pid, path in self._known.items() if pid in pids}


def scan(root: Root, names: Mapping[int, str]) -> tuple[KvmHolder, ...]:
    """All holders, ordered by PID. NAMES are libvirt's domain names by PID."""
    return scan_with(root, lambda path, machine: describe(path, machine, names))


def scan_with(
    root: Root, describe: Describe, machines: MachineLinks | None = None
) -> tuple[KvmHolder, ...]:
    """All holders, ordered by PID, each passed through DESCRIBE; MACHINES caches between scans.

    A process that closed its descriptors but still maps a virtual CPU's page also pins the
    module; /proc/PID/maps is searched for it if no process has a KVM descriptor.
    """
    processes = _processes(root)
    machines = MachineLinks() if machines is None else machines
    found = [
        describe(path, is_machine)
        for path in processes
        if (is_machine := machines.find(path)) is not None
    ]
    machines.forget_all_but({holder.pid for holder in found})
    if not found:
        found = [describe(path, True) for path in processes if _maps_vcpu(path)]
    return tuple(sorted(found, key=lambda holder: holder.pid))


def machine_ids(root: Root) -> frozenset[str]:
    """One id per running virtual machine; an id is reused only after its machine has ended.

    The ids are KVM's directories in debugfs (PID-FD), else the PIDs of processes with a machine.
    """
    try:
        entries = os.scandir(root.at("/sys/kernel/debug/kvm"))
    except OSError:
        return frozenset(str(holder.pid) for holder in scan(root, {}) if holder.machine)
    with entries:
        return frozenset(entry.name for entry in entries if entry.is_dir())


def may_see_all(root: Root) -> bool:
    """Whether other users' processes can be inspected (CAP_SYS_PTRACE is effective).

    The files of another machine (--root) can always be read.
    """
    if not root.is_this_machine:
        return True
    for line in _read(root.at("/proc/self/status")).splitlines():
        if line.startswith(b"CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_PTRACE & 1)
    return False


def _processes(root: Root) -> list[Path]:
    try:
        names = os.listdir(root.at("/proc"))
    except OSError:
        return []
    return [root.at(f"/proc/{name}") for name in names if name.isdigit()]


def describe(path: Path, machine: bool, names: Mapping[int, str]) -> KvmHolder:
    """Describe the process below PATH."""
    pid = int(path.name)
    return KvmHolder(
        pid=pid,
        machine=machine,
        executable=_executable(path),
        guest=names.get(pid) or _guest_argument(path),
        unit=unit_of(path),
    )


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _maps_vcpu(path: Path) -> bool:
    try:
        with open(path / "maps", "rb") as lines:
            return any(_VCPU_LINK.encode() in line for line in lines)
    except OSError:
        return False


def _executable(path: Path) -> str:
    try:
        link = os.readlink(os.fsencode(path / "exe"))
    except OSError:
        return printable(_read(path / "comm").strip())
    return printable(os.path.basename(link).replace(b" (deleted)", b""))


def _guest_argument(path: Path) -> str:
    """The name in QEMU's -name guest=NAME[,...] or -name NAME, where commas are doubled."""
    arguments = _read(path / "cmdline").split(b"\0")
    if b"-name" not in arguments[:-1]:
        return ""
    text = arguments[arguments.index(b"-name") + 1]
    name = text.replace(b",,", b"\0").split(b",", 1)[0].replace(b"\0", b",")
    return printable(name[len(b"guest=") :] if name.startswith(b"guest=") else name)


def unit_of(path: Path) -> str:
    """The innermost unit in the process's control group path (cgroups(7))."""
    for line in _read(f"{path}/cgroup").split(b"\n"):
        controllers, _, group = line.partition(b":")[2].partition(b":")
        if controllers in (b"", b"name=systemd"):
            for part in reversed(group.split(b"/")):
                if part.endswith((b".scope", b".service")):
                    return printable(part)
    return ""


def _read(path: Path | str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_READ_BYTES)
    except OSError:
        return b""

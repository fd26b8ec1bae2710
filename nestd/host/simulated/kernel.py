# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel that is a directory: it behaves over a simulated host's files as real kernels do.

For people who build frontends, for demonstrations and for tests. To start a virtual machine, make
a file in the root's /simulated/machines; remove it to end the machine. To load or unload a module
behind nestd's back, use SimulatedKernel.load() and .unload() of another process over the same
root: nestd notices, as it does with modprobe.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Callable, NoReturn

from nestd.formats.modprobe.kernel_params import ParameterType, accepts, number, truth
from nestd.formats.modprobe.next_load import next_load
from nestd.host.inotify import DirectoryWatch
from nestd.host.kernel.interface import Change, KernelEvent, LoadError
from nestd.host.kernel.sysfs import (
    ModuleFacts,
    installed_modules,
    modules_disabled,
    read_module,
)
from nestd.host.modprobe.config import read_cmdline, read_config
from nestd.host.root import Root
from nestd.host.simulated.host import HostKind, SimulatedModule, install

MACHINES = "/simulated/machines"
KMOD = 30
_KIND = "/simulated/kind"  # the name of the host's kind
_FIRST_PID = 4711
_OWN_FILE = "fd/3"  # of a machine's process: its file in MACHINES
_S390_CLASH = (
    "kvm-s390: A KVM host that supports nesting cannot back its KVM guests with huge pages"
)


class SimulatedKernel:
    """Implements nestd.host.kernel.interface.Kernel over a directory.

    Raises OSError where that is a simulated host of another kind.
    """

    can_load = True

    def __init__(self, root: Root, kind: HostKind) -> None:
        self._root = root
        self._kind = kind
        self._watch: DirectoryWatch | None = None
        self.machine = kind.machine
        self.release = kind.release
        if root.at(MACHINES).is_dir():  # it lives on as it was left
            _check_kind(root, kind)
        else:
            install(root, kind)
            root.at(MACHINES).mkdir(parents=True)
            root.at(_KIND).write_text(kind.name + "\n")
            for name in kind.loaded:
                if not self.read_module(name).loaded:
                    self._insert(name, ())
        self._show_machines()

    def read_module(self, name: str) -> ModuleFacts:
        """See Kernel."""
        return read_module(self._root, self.release, name)

    async def parameter_types(self, name: str) -> Mapping[str, ParameterType]:
        """See Kernel."""
        module = self._kind.modules.get(name)
        return {} if module is None else {key: kind for key, (kind, _) in module.parameters.items()}

    async def check_load(self, name: str) -> None:
        """See Kernel."""

    async def unload(self, name: str) -> None:
        """See Kernel."""
        facts = self.read_module(name)
        if modules_disabled(self._root):
            raise _refused(errno.EPERM, name)
        if not facts.loaded:
            raise _refused(errno.ENOENT, name)
        if facts.holders or (name in self._pinned() and self._machines()):
            raise _refused(errno.EAGAIN, name)
        shutil.rmtree(self._directory(name))
        for needed in self._kind.modules[name].needs:
            self._directory(needed).joinpath("holders", name).unlink(missing_ok=True)
        if name == self._device_owner():
            self._root.at("/dev/kvm").unlink(missing_ok=True)
        self._show_machines()

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        """See Kernel. Applies modprobe.d, the command line and PARAMETERS as modprobe would."""
        if modules_disabled(self._root):
            raise LoadError(f"could not insert '{name}': Operation not permitted")
        if self.read_module(name).loaded:
            return
        files = () if only_these else read_config(self._root, KMOD).files
        configured = next_load(files, read_cmdline(self._root), name, kmod=KMOD)
        if configured.alias_by is not None:
            self._load_other(configured.alias_by.text.rpartition(" ")[2])
        # libkmod ignores `install` lines of a module that has a soft dependency.
        softdeps = installed_modules(self._root, self.release) & {*configured.softdeps}
        if configured.install_by is not None and not (only_these or softdeps):
            raise LoadError("modprobe loaded nothing and said nothing")
        for needed in self._kind.modules[name].needs:
            if not self.read_module(needed).loaded:
                await self.load(needed)
        if configured.denied_by is not None:
            reason = f"Operation not permitted; kernel: Module {name} is blacklisted"
            raise LoadError(f"could not insert '{name}': {reason}")
        assigned = [(each.parameter, each.value) for each in configured.assignments]
        self._insert(name, [*assigned, *parameters])
        self._show_machines()

    def write_parameter(self, name: str, parameter: str, value: str) -> None:
        """See Kernel."""
        kind, _ = self._kind.modules[name].parameters[parameter]
        if parameter not in self._kind.modules[name].writable:
            raise _refused(errno.EACCES, parameter)
        if not accepts(kind, value.encode()):
            raise _refused(errno.EINVAL, parameter)
        self._write(name, f"parameters/{parameter}", _shown(kind, value))

    async def wait_for_device(self, timeout: float) -> bool:
        """See Kernel."""
        return self._root.at("/dev/kvm").exists()

    def subscribe(self, callback: Callable[[KernelEvent], None]) -> None:
        """See Kernel."""

        def changed() -> None:
            self._show_machines()
            callback(KernelEvent(Change.LOST))

        places = [self._root.at(place) for place in (MACHINES, "/sys/module")]
        self._watch = DirectoryWatch(places, changed)

    def close(self) -> None:
        """See Kernel."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _load_other(self, name: str) -> NoReturn:
        """What comes of an alias: `alias kvm_intel off`, or another of KVM's modules."""
        if name.replace("-", "_") in self._kind.modules:
            raise LoadError("modprobe loaded nothing and said nothing")
        # How modprobe says that there is no such file.
        reason = "Unknown symbol in module, or unknown parameter (see dmesg)"
        raise LoadError(f"could not insert '{name}': {reason}")

    def _insert(self, name: str, assigned: Sequence[tuple[str, str | None]]) -> None:
        """What the kernel's load_module() does: parse the parameters, start, appear in sysfs."""
        module = self._kind.modules[name]
        values = {key: default for key, (_, default) in module.parameters.items()}
        for parameter, value in assigned:
            if parameter not in module.parameters:
                continue  # "unknown parameter ignored"
            kind, _ = module.parameters[parameter]
            text = None if value is None else value.encode("utf-8", "surrogateescape")
            if not accepts(kind, text):
                raise LoadError(
                    f"could not insert '{name}': Invalid argument; kernel: {name}:"
                    f" `{value or ''}' invalid for parameter `{parameter}'"
                )
            values[parameter] = _shown(kind, value)
        if values.get("hpage", "0") != "0" and values.get("nested", "0") != "0":
            raise LoadError(f"could not insert '{name}': Invalid argument; kernel: {_S390_CLASH}")
        self._appear(module, values)

    def _appear(self, module: SimulatedModule, values: Mapping[str, str]) -> None:
        directory = self._directory(module.name)
        (directory / "parameters").mkdir(parents=True, exist_ok=True)
        (directory / "holders").mkdir(exist_ok=True)
        for parameter, value in values.items():
            path = directory / "parameters" / parameter
            path.write_text(value + "\n")
            path.chmod(0o644 if parameter in module.writable else 0o444)
        for needed in module.needs:
            (self._directory(needed) / "holders" / module.name).write_text("")
        (directory / "initstate").write_text("live\n")
        if module.name == self._device_owner():
            device = self._root.at("/dev/kvm")
            device.write_text("")
            device.chmod(0o666)  # what RHEL's udev rule gives it

    def _show_machines(self) -> None:
        """Let /proc and the reference counts show the machines that there are now."""
        with _alone(self._root.at(MACHINES)):
            machines = self._machines()
            self._show_processes(set(machines))
        for name in self._kind.modules:
            if self._directory(name).is_dir():
                holders = len(os.listdir(self._directory(name) / "holders"))
                uses = len(machines) if name in self._pinned() else 0
                self._write(name, "refcnt", str(holders + uses))

    def _show_processes(self, machines: set[str]) -> None:
        """One process for each of MACHINES, with the same id for as long as the machine runs."""
        taken = set()
        for process in self._root.at("/proc").glob("[0-9]*"):
            name = _machine_of(process)
            if name in machines:
                machines.discard(name)
                taken.add(process.name)
            else:
                shutil.rmtree(process)
        for name in sorted(machines):
            # In most cases the same number each time, as examples in texts would have it.
            first = _FIRST_PID + sum(os.fsencode(name)) * 31 % 25000
            pid = next(pid for pid in map(str, itertools.count(first)) if pid not in taken)
            taken.add(pid)
            _show_process(self._root, pid, name)

    def _machines(self) -> list[str]:
        """The machines' names."""
        return os.listdir(self._root.at(MACHINES))

    def _pinned(self) -> tuple[str, ...]:
        """The modules that a running machine pins."""
        return self._kind.loaded[-1:]

    def _device_owner(self) -> str:
        """The module whose load makes /dev/kvm: the vendor's, but kvm on POWER (powerpc.c)."""
        return "kvm" if self.machine.startswith("ppc") else self._kind.loaded[-1]

    def _directory(self, name: str) -> Path:
        return self._root.at(f"/sys/module/{name}")

    def _write(self, name: str, file: str, text: str) -> None:
        path = self._root.at(f"/sys/module/{name}/{file}")
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o444
        path.unlink(missing_ok=True)
        path.write_text(text + "\n")
        path.chmod(mode)


def _check_kind(root: Root, kind: HostKind) -> None:
    with contextlib.suppress(FileNotFoundError):
        found = root.at(_KIND).read_text("ascii", "replace").strip()
        if found != kind.name:
            raise OSError(f"{root.path} holds a simulated host of another kind: {found}")


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep out who else simulates the kernel of the same root meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _machine_of(process: Path) -> str:
    try:
        return os.path.basename(os.readlink(process / _OWN_FILE))
    except OSError:
        return ""


def _show_process(root: Root, pid: str, name: str) -> None:
    directory = root.at(f"/proc/{pid}")
    (directory / "fd").mkdir(parents=True)
    (directory / _OWN_FILE).symlink_to(f"{MACHINES}/{name}")
    (directory / "fd" / "11").symlink_to("/dev/kvm")
    (directory / "fd" / "12").symlink_to("anon_inode:kvm-vm")
    (directory / "exe").symlink_to("/usr/libexec/qemu-kvm")
    guest = os.fsencode(name).replace(b",", b",,")  # as QEMU's options have it
    (directory / "cmdline").write_bytes(b"/usr/libexec/qemu-kvm\0-name\0guest=" + guest + b"\0")
    group = b"0::/machine.slice/machine-qemu-" + os.fsencode(name) + b".scope\n"
    (directory / "cgroup").write_bytes(group)


def _refused(number: int, what: str) -> OSError:
    return OSError(number, os.strerror(number), what)


def _shown(kind: ParameterType, value: str | None) -> str:
    """How sysfs shows a value that the parameter took (kernel/params.c, param_get_*)."""
    text = None if value is None else value.encode("utf-8", "surrogateescape")
    if kind is ParameterType.BOOL:
        return "Y" if truth(kind, text) else "N"
    return value or "" if text is None else str(number(kind, text))

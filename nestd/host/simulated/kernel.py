# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel over a directory: it acts on a simulated host's files as real kernels do.

For frontend authors, demonstrations and tests. Virtual machines are files, see machines.py. To load
or unload a module behind nestd's back, call SimulatedKernel.load() and .unload() in another process
over the same root: nestd notices it like a use of modprobe.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Callable, NoReturn

from nestd.formats.modprobe.kernel_params import ParameterType, accepts, number, truth
from nestd.formats.modprobe.next_load import next_load
from nestd.formats.simulation import Simulation
from nestd.host.inotify import DirectoryWatch
from nestd.host.kernel.interface import Change, KernelEvent, LoadError
from nestd.host.kernel.sysfs import (
    ModuleFacts,
    ModuleReader,
    installed_modules,
    modules_disabled,
)
from nestd.host.modprobe.config import read_cmdline, read_config
from nestd.host.root import Root
from nestd.host.simulated import arm
from nestd.host.simulated.domain import Nesting
from nestd.host.simulated.host import HostKind, SimulatedModule, add_files, install
from nestd.host.simulated.machines import MACHINES, Machines
from nestd.host.simulated.situations import after_boot, before_boot, has_kvm

KMOD = 30
SLOW_SECONDS = 1.0
RUN_SECONDS = 0.5  # interval at which machines run nested guests
_KIND = "/simulated/kind"  # the name of the kind of host
_SITUATIONS = "/simulated/situations"  # the host's situations, one per line
_S390_CLASH = (
    "kvm-s390: A KVM host that supports nesting cannot back its KVM guests with huge pages"
)


class SimulatedKernel:
    """Implements nestd.host.kernel.interface.Kernel over a directory.

    Raises OSError if the directory is a simulated host of another kind.
    """

    can_load = True

    def __init__(self, root: Root, kind: HostKind, simulation: Simulation | None = None) -> None:
        self._root = root
        self._kind = kind
        self._watch: DirectoryWatch | None = None
        self._running: asyncio.TimerHandle | None = None
        self._before: dict[str, Mapping[str, str]] = {}  # parameter values of unloaded modules
        self.machine = kind.machine
        self.release = kind.release
        self._machines = Machines(root, kind.name)
        self._modules = ModuleReader(root, kind.release)
        asked = simulation or Simulation(kind.name)
        if root.at(MACHINES).is_dir():  # an existing host keeps its state
            _check_kind(root, kind)
            self._situation = _add_situations(root, asked)
            add_files(root, {**before_boot(asked, kind), **after_boot(asked, kind)})
        else:
            self._situation = asked
            install(root, kind, before_boot(asked, kind))
            root.at(MACHINES).mkdir(parents=True)
            root.at(_KIND).write_text(kind.name + "\n")
            _add_situations(root, asked)
            self._boot()
        self._show_machines()

    def _boot(self) -> None:
        """Do what udev and others do during boot."""
        for name in self._kind.loaded if has_kvm(self._situation) else ():
            if self.read_module(name).loaded:
                continue
            elif self._situation.situations.keys() & {"overridden", "cmdline"}:
                self._modprobe(name)
            else:  # the present configuration was written after boot
                self._insert(name, ())
        if self.machine == "aarch64":
            arm.boot(self._root, self._situation)
        add_files(self._root, after_boot(self._situation, self._kind))
        if self._root.at("/dev/kvm").exists():
            for name, nesting in _guests(self._situation.guests):
                self._machines.start(name, nesting)

    def nests(self) -> bool | None:
        """See Kernel."""
        return arm.nests(self._root) if self.machine == "aarch64" else None

    def read_module(self, name: str) -> ModuleFacts:
        """See Kernel."""
        return self._modules.read(name)

    async def parameter_types(self, name: str) -> Mapping[str, ParameterType]:
        """See Kernel."""
        module = self._kind.modules.get(name)
        return {} if module is None else {key: kind for key, (kind, _) in module.parameters.items()}

    async def check_load(self, name: str) -> None:
        """See Kernel."""

    async def unload(self, name: str) -> None:
        """See Kernel."""
        await self._take_time()
        facts = self.read_module(name)
        if modules_disabled(self._root):
            raise _refused(errno.EPERM, name)
        if not facts.loaded:
            raise _refused(errno.ENOENT, name)
        if facts.holders or (name in self._pinned() and self._machines.names()):
            raise _refused(errno.EAGAIN, name)
        self._before[name] = facts.parameters
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
        await self._take_time()
        self._modprobe(name, parameters, only_these=only_these)

    async def _take_time(self) -> None:
        if "slow" in self._situation:
            await asyncio.sleep(SLOW_SECONDS)

    def _modprobe(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        if modules_disabled(self._root):
            raise LoadError(f"could not insert '{name}': Operation not permitted")
        if self.read_module(name).loaded:
            return
        files = () if only_these else read_config(self._root, KMOD).files
        configured = next_load(files, read_cmdline(self._root), name, kmod=KMOD)
        if configured.alias_by is not None:
            self._load_other(configured.alias_by.text.rpartition(" ")[2])
        # libkmod ignores `install` lines of a module with a soft dependency.
        softdeps = installed_modules(self._root, self.release) & {*configured.softdeps}
        if configured.install_by is not None and not (only_these or softdeps):
            raise LoadError("modprobe loaded nothing and said nothing")
        for needed in self._kind.modules[name].needs:
            if not self.read_module(needed).loaded:
                self._modprobe(needed)
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
        await self._take_time()
        return self._root.at("/dev/kvm").exists()

    def subscribe(self, callback: Callable[[KernelEvent], None]) -> None:
        """See Kernel."""

        def changed() -> None:
            self._show_machines()
            self._run_machines()
            callback(KernelEvent(Change.LOST))

        places = [self._root.at(place) for place in (MACHINES, "/sys/module")]
        self._watch = DirectoryWatch(places, changed)
        self._run_machines()

    def _run_machines(self) -> None:
        """From now on, let the machines with nested guests run them."""
        if self._running is not None:
            self._running.cancel()
            self._running = None
        if self._machines.run_nested():
            loop = asyncio.get_running_loop()
            self._running = loop.call_later(RUN_SECONDS, self._run_machines)

    def close(self) -> None:
        """See Kernel."""
        if self._running is not None:
            self._running.cancel()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _load_other(self, name: str) -> NoReturn:
        """The result of an alias: `alias kvm_intel off`, or one to another of KVM's modules."""
        if name.replace("-", "_") in self._kind.modules:
            raise LoadError("modprobe loaded nothing and said nothing")
        # modprobe's message if there is no such file.
        reason = "Unknown symbol in module, or unknown parameter (see dmesg)"
        raise LoadError(f"could not insert '{name}': {reason}")

    def _insert(self, name: str, assigned: Sequence[tuple[str, str | None]]) -> None:
        """Do what the kernel's load_module() does: parse parameters, start, appear in sysfs."""
        module = self._kind.modules[name]
        values = self._values(module, assigned)
        self._check_starts(name, values)
        self._appear(module, values)

    def _values(
        self, module: SimulatedModule, assigned: Sequence[tuple[str, str | None]]
    ) -> Mapping[str, str]:
        """The parameters as shown by sysfs after the load."""
        values = {key: default for key, (_, default) in module.parameters.items()}
        for parameter, value in assigned:
            if parameter not in module.parameters:
                continue  # "unknown parameter ignored"
            kind, _ = module.parameters[parameter]
            text = None if value is None else value.encode("utf-8", "surrogateescape")
            if not accepts(kind, text):
                name = module.name
                raise LoadError(
                    f"could not insert '{name}': Invalid argument; kernel: {name}:"
                    f" `{value or ''}' invalid for parameter `{parameter}'"
                )
            values[parameter] = _shown(kind, value)
        return values

    def _check_starts(self, name: str, values: Mapping[str, str]) -> None:
        """Check what the module's init() checks. Raises LoadError."""
        if values.get("hpage", "0") != "0" and values.get("nested", "0") != "0":
            raise LoadError(f"could not insert '{name}': Invalid argument; kernel: {_S390_CLASH}")
        if name not in self._kind.loaded:  # the module is for other processors
            raise LoadError(f"could not insert '{name}': Operation not supported")
        if name != self._kind.loaded[-1] or name not in self._before:
            if "guest-of" in self._situation and name in self._pinned():
                reason = "Operation not supported; kernel: the processor cannot run machines"
                raise LoadError(f"could not insert '{name}': {reason}")
            return
        fails = "load-fails" in self._situation and values != self._before[name]
        if fails or "rollback-fails" in self._situation:
            raise LoadError(f"could not insert '{name}': Cannot allocate memory")

    def _appear(self, module: SimulatedModule, values: Mapping[str, str]) -> None:
        directory = self._directory(module.name)
        (directory / "parameters").mkdir(parents=True, exist_ok=True)
        if "builtin" not in self._situation or module.name not in self._kind.loaded:
            (directory / "holders").mkdir(exist_ok=True)
            (directory / "initstate").write_text("live\n")
        for parameter, value in values.items():
            path = directory / "parameters" / parameter
            path.write_text(value + "\n")
            path.chmod(0o644 if parameter in module.writable else 0o444)
        for needed in module.needs:
            if self.read_module(needed).loaded:
                (self._directory(needed) / "holders" / module.name).write_text("")
        if module.name == self._device_owner():
            device = self._root.at("/dev/kvm")
            device.write_text("")
            device.chmod(0o666)  # set by RHEL's udev rule

    def _show_machines(self) -> None:
        """Update /proc and the reference counts for the present machines."""
        machines = self._machines.show()
        for name in self._kind.modules:
            if self.read_module(name).loaded:
                holders = len(os.listdir(self._directory(name) / "holders"))
                uses = len(machines) if name in self._pinned() else 0
                self._write(name, "refcnt", str(holders + uses))

    def _pinned(self) -> tuple[str, ...]:
        """The modules pinned by a running machine."""
        return self._kind.loaded[-1:]

    def _device_owner(self) -> str:
        """The module that creates /dev/kvm: the vendor's, but kvm on POWER (powerpc.c)."""
        return "kvm" if self.machine.startswith("ppc") else "".join(self._pinned())

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


def _add_situations(root: Root, asked: Simulation) -> Simulation:
    """Combine the host's earlier situations with those ASKED for."""
    path = root.at(_SITUATIONS)
    before: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        words = [line.partition("=") for line in path.read_text("utf-8", "replace").splitlines()]
        before = {name: value for name, _, value in words if name}
    found = {**before, **asked.situations}
    if found != before:
        lines = [f"{name}={value}" if value else name for name, value in found.items()]
        path.write_text("".join(f"{line}\n" for line in lines))
    return Simulation(asked.kind, found)


def _guests(count: int) -> Iterator[tuple[str, Nesting]]:
    """The names of the situation's guests, each with its nesting."""
    kinds = (Nesting.GUEST,) if count == 1 else (Nesting.EXPOSED, Nesting.GUEST)
    for index in range(count):
        yield f"guest{index + 1}", kinds[index] if index < len(kinds) else Nesting.NONE


def _refused(number: int, what: str) -> OSError:
    return OSError(number, os.strerror(number), what)


def _shown(kind: ParameterType, value: str | None) -> str:
    """How sysfs shows an accepted value (kernel/params.c, param_get_*)."""
    text = None if value is None else value.encode("utf-8", "surrogateescape")
    if kind is ParameterType.BOOL:
        return "Y" if truth(kind, text) else "N"
    return value or "" if text is None else str(number(kind, text))

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The running kernel, or another machine's files if --root is given."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Mapping, Sequence
from typing import Callable

from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.files import read_regular
from nestd.host.kernel import kmod
from nestd.host.kernel.interface import KernelEvent, LoadError, LoadTimeout, NotThisMachine
from nestd.host.kernel.kernel_log import KernelLog
from nestd.host.kernel.kvm_device import arm_nests
from nestd.host.kernel.sysfs import ModuleFacts, ModuleReader
from nestd.host.kernel.uevents import UeventWatch
from nestd.host.root import Root

DEVICE = "/dev/kvm"
DEVICE_RECHECK_SECONDS = 0.02
# A field of /proc/cpuinfo unique to each architecture (show_cpuinfo()).
_MACHINES = (
    (rb"^CPU implementer", "aarch64"),
    (rb"^cpu\s*: POWER", "ppc64le"),
    (rb"^vendor_id\s*: IBM/S390", "s390x"),
    (rb"^isa\s*: rv64", "riscv64"),
    (rb"^CPU Family\s*: Loongson-64bit", "loongarch64"),
    (rb"^vendor_id\s*: (?!IBM)", "x86_64"),
)
_FRESH_DEVICE = (0o600, 0, 0)  # mode, owner and group of a node not yet processed by udev


class RealKernel:
    """Implements nestd.host.kernel.interface.Kernel for this machine."""

    can_load = True

    def __init__(self, root: Root) -> None:
        self._root = root
        self._watch: UeventWatch | None = None
        self.machine = os.uname().machine
        self.release = os.uname().release
        self._device_before = _identity(root)
        self._modules = ModuleReader(root, self.release)
        self._nests: bool | None = None

    def read_module(self, name: str) -> ModuleFacts:
        """See Kernel."""
        return self._modules.read(name)

    def nests(self) -> bool | None:
        """See Kernel. Cached: arm64's KVM is part of the kernel image and stays as booted."""
        if self.machine == "aarch64" and self._nests is None:
            self._nests = arm_nests(self._root)
        return self._nests

    async def parameter_types(self, name: str) -> Mapping[str, ParameterType]:
        """See Kernel."""
        return await kmod.parameter_types(self._root.path, self.release, name)

    async def check_load(self, name: str) -> None:
        """See Kernel."""
        try:
            answer = await kmod.show_load(name)
        except (OSError, TimeoutError) as error:
            raise LoadError(f"modprobe cannot be run: {kmod.not_run(error)}") from error
        if answer.status:
            raise LoadError(answer.complaint)

    async def unload(self, name: str) -> None:
        """See Kernel."""
        self._device_before = _identity(self._root) or self._device_before
        await kmod.delete_module(name)

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        """See Kernel. Verifies the load, since modprobe often exits with 0 without loading."""
        with KernelLog(self._root) as log:
            try:
                answer = await kmod.modprobe(name, parameters, only_these=only_these)
            except TimeoutError as error:
                raise LoadTimeout(str(error)) from error
            except OSError as error:
                raise LoadError(f"modprobe cannot be run: {kmod.not_run(error)}") from error
            reasons = log.about(name, name.replace("_", "-"), "kvm")
        if not self.read_module(name).loaded:
            said = answer.complaint if answer.status else "modprobe loaded nothing and said nothing"
            raise LoadError("; kernel: ".join([said, *reasons[-1:]]))

    def write_parameter(self, name: str, parameter: str, value: str) -> None:
        """See Kernel."""
        path = self._root.at(f"/sys/module/{name}/parameters/{parameter}")
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode("ascii"))
        finally:
            os.close(fd)

    async def wait_for_device(self, timeout: float) -> bool:
        """See Kernel. The node appears as 0600 root:root; udev sets its permissions later.

        They may differ from the previous ones, which someone may have changed by hand.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        last = None
        while True:
            now = _identity(self._root)
            is_settled = now == last and now != _FRESH_DEVICE
            if now is not None and (is_settled or self._device_before in (None, now)):
                return True
            if asyncio.get_running_loop().time() > deadline:
                return False
            last = now
            await asyncio.sleep(DEVICE_RECHECK_SECONDS)

    def subscribe(self, callback: Callable[[KernelEvent], None]) -> None:
        """See Kernel."""
        self._watch = UeventWatch(callback)

    def close(self) -> None:
        """See Kernel."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None


class FilesOnly(RealKernel):
    """The kernel of the machine whose files are below --root: read-only."""

    can_load = False

    def __init__(self, root: Root) -> None:
        super().__init__(root)
        self.release = _installed_release(root, self.release)
        self._modules = ModuleReader(root, self.release)
        self.machine = _described_machine(root) or self.machine

    def nests(self) -> bool | None:
        """Unknown: files do not show it."""
        return None

    async def check_load(self, name: str) -> None:
        """Refused."""
        raise NotThisMachine

    async def unload(self, name: str) -> None:
        """Refused."""
        raise NotThisMachine

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        """Refused."""
        raise NotThisMachine

    def write_parameter(self, name: str, parameter: str, value: str) -> None:
        """Refused."""
        raise NotThisMachine

    def subscribe(self, callback: Callable[[KernelEvent], None]) -> None:
        """No events: this machine's events do not concern those files."""


def _identity(root: Root) -> tuple[int, int, int] | None:
    """Mode, owner and group of /dev/kvm, None if it does not exist."""
    try:
        status = os.stat(root.at(DEVICE))
    except OSError:
        return None
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def _described_machine(root: Root) -> str:
    """The architecture as in uname -m, from /proc/cpuinfo; "" if it cannot be told."""
    try:
        data = read_regular(root.at("/proc/cpuinfo")) or b""
    except OSError:
        return ""
    found = (name for pattern, name in _MACHINES if re.search(pattern, data, re.MULTILINE))
    return next(found, "")


def _installed_release(root: Root, running: str) -> str:
    """RUNNING if its modules are installed below ROOT, else the only or newest release."""
    try:
        releases = sorted(os.listdir(root.at("/lib/modules")))
    except OSError:
        return running
    return running if running in releases or not releases else releases[-1]

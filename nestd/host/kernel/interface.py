# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel as nestd sees it: one interface, implemented by the real kernel and a simulated one.

Both read the files below the Root; they differ in what implements loading and unloading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Callable, Protocol

from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.kernel.sysfs import ModuleFacts


class LoadError(Exception):
    """A module did not load; the text is one sentence with the kernel's or modprobe's reason."""


class LoadTimeout(LoadError):
    """modprobe did not end in time; another attempt of the same kind would hang too."""


class NotThisMachine(Exception):
    """The files belong to another machine (--root), whose modules cannot be changed."""


class Change(Enum):
    """What to read again. Events get lost and reordered, so they are only hints."""

    MODULE = "module"  # a module was loaded or unloaded
    MACHINES = "machines"  # a virtual machine was created or destroyed
    PROCESSOR = "processor"  # a processor was added or removed
    LOST = "lost"  # events were dropped: read everything


@dataclass(frozen=True)
class KernelEvent:
    """One hint, with the module's name, or the kernel's count of machines if the event has it.

    created and count are the CREATED and COUNT of KVM's uevent (virt/kvm/kvm_main.c): machines
    created since kvm.ko was loaded, and machines that exist. (created, -count) orders the samples
    even if the events arrive out of order.
    """

    change: Change
    module: str = ""
    created: int | None = None
    count: int | None = None


class Kernel(Protocol):
    """The interface of a kernel."""

    @property
    def machine(self) -> str:
        """The architecture as printed by uname -m."""

    @property
    def release(self) -> str:
        """The release as printed by uname -r."""

    @property
    def can_load(self) -> bool:
        """Whether modules can be loaded and unloaded at all (not with --root alone)."""

    def read_module(self, name: str) -> ModuleFacts:
        """Read the module's current facts."""

    def nests(self) -> bool | None:
        """Whether arm64's KVM, which is not a module, nests; None if unknown."""

    async def parameter_types(self, name: str) -> Mapping[str, ParameterType]:
        """The parameters that the module file declares (modinfo); empty if there is no file."""

    async def check_load(self, name: str) -> None:
        """Check everything that a load of NAME needs without loading it. Raises LoadError."""

    async def unload(self, name: str) -> None:
        """delete_module(2) with O_NONBLOCK, never forced. Raises OSError (EAGAIN: in use ...)."""

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        """modprobe NAME, PARAMETERS after the configured ones, or only these. Raises LoadError."""

    def write_parameter(self, name: str, parameter: str, value: str) -> None:
        """Write a parameter of a loaded module. Raises OSError with the kernel's errno."""

    async def wait_for_device(self, timeout: float) -> bool:
        """Wait at most TIMEOUT seconds; whether /dev/kvm exists with its permissions."""

    def subscribe(self, callback: Callable[[KernelEvent], None]) -> None:
        """Call CALLBACK in the event loop for every hint, until close()."""

    def close(self) -> None:
        """Stop listening."""

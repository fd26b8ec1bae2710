# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel as nestd sees it: one interface, implemented by the real kernel and a simulated one.

Both read the files below the Root; they differ in who acts on these.
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
    """modprobe did not end in time: another attempt of the same kind would not either."""


class NotThisMachine(Exception):
    """The files are those of another machine (--root): no module of it can be acted upon."""


class Change(Enum):
    """What an event hints at. Events get lost and reordered: they only say where to look again."""

    MODULE = "module"  # a module came or went
    MACHINES = "machines"  # a virtual machine was made or destroyed
    PROCESSOR = "processor"  # a processor came or went
    LOST = "lost"  # events were dropped: look at everything


@dataclass(frozen=True)
class KernelEvent:
    """One hint, with the module's name, or the kernel's own count of machines where it gave one.

    created and count are the CREATED and COUNT of KVM's uevent (virt/kvm/kvm_main.c): machines
    made since kvm.ko was loaded, and machines that exist. (created, -count) orders the samples
    even where the events came out of order.
    """

    change: Change
    module: str = ""
    created: int | None = None
    count: int | None = None


class Kernel(Protocol):
    """What nestd asks of a kernel."""

    @property
    def machine(self) -> str:
        """The architecture as uname -m names it."""

    @property
    def release(self) -> str:
        """The release as uname -r names it."""

    @property
    def can_load(self) -> bool:
        """Whether modules can be loaded and unloaded at all (not with --root alone)."""

    def read_module(self, name: str) -> ModuleFacts:
        """The module's facts now."""

    def nests(self) -> bool | None:
        """Whether arm64's KVM, which has no module to read that of, nests; None: not known."""

    async def parameter_types(self, name: str) -> Mapping[str, ParameterType]:
        """The parameters that the module file declares (modinfo); empty where there is no file."""

    async def check_load(self, name: str) -> None:
        """Try everything that a load of NAME needs without loading it. Raises LoadError."""

    async def unload(self, name: str) -> None:
        """delete_module(2) with O_NONBLOCK, never with force. OSError: EAGAIN where in use ..."""

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        """modprobe NAME with PARAMETERS after the configured ones, or only these. LoadError."""

    def write_parameter(self, name: str, parameter: str, value: str) -> None:
        """Write a writable parameter of a loaded module. OSError with the kernel's errno."""

    async def wait_for_device(self, timeout: float) -> bool:
        """Whether /dev/kvm is there with its permissions, after TIMEOUT seconds at most."""

    def subscribe(self, callback: Callable[[KernelEvent], None]) -> None:
        """Call CALLBACK in the event loop for every hint, until close()."""

    def close(self) -> None:
        """Stop listening."""

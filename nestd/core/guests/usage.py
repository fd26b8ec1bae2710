# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a machine has run nested guests, from KVM's counters, or why that is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nestd.core.guests.guest import Nesting, Usage
from nestd.formats.vmm_arguments import QemuArguments
from nestd.host.guests.nested_runs import NestedRuns, Uncounted

_WHY: Mapping[Uncounted, str] = MappingProxyType(
    {
        Uncounted.NO_DEBUGFS: "debugfs, which has KVM's counts, cannot be read",
        Uncounted.NO_DIRECTORY: "debugfs shows no counts of this machine",
        Uncounted.NO_COUNT: "this kernel's KVM does not count it",
        Uncounted.LOCKDOWN: "the kernel does not let its count be read (lockdown)",
        Uncounted.UNREADABLE: "KVM's count cannot be read",
    }
)


def usage(runs: NestedRuns, qemu: QemuArguments | None) -> Usage:
    """Decide; QEMU is None for other monitors, or if the command line cannot be read."""
    if runs.running_now:
        return Usage(Nesting.USED, runs.count, "guest_mode in debugfs: one runs now")
    if runs.uncounted is not Uncounted.COUNTED:
        return Usage(Nesting.UNKNOWN, 0, _WHY[runs.uncounted])
    if runs.count:
        return Usage(Nesting.USED, runs.count, f"{runs.name} in debugfs")
    if qemu is not None and qemu.restored:
        return Usage(
            Nesting.UNKNOWN, 0, "restored from a saved or migrated state: the count began again"
        )
    if qemu is None:
        return Usage(
            Nesting.UNKNOWN,
            0,
            "the count is 0, but whether the machine was restored from a saved state is not known",
        )
    return Usage(Nesting.NOT_USED, 0, f"{runs.name} in debugfs")

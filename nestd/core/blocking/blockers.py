# SPDX-License-Identifier: LGPL-2.1-or-later
"""Explains what prevents a reload of a module. Only the kernel decides."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nestd.core.model import Blocker, BlockerKind
from nestd.host.kernel.kvm_holders import KvmHolder
from nestd.host.kernel.sysfs import Availability, ModuleFacts

# Blockers listed in one sentence: all, within the limits of a D-Bus message and a journal entry.
MOST_NAMED = 1000

# /dev/kvm and a virtual machine's descriptors pin the module that owns them: the vendor's on x86,
# kvm on s390x and POWER, where a machine also pins kvm_hv (arch/powerpc/kvm/powerpc.c).
_ONLY_FOR_MACHINES = ("kvm_hv",)


# Programs whose virtual machines may be short-lived capability probes.
_PROBING = ("qemu", "kvm")


def find(
    module: ModuleFacts,
    holders: Sequence[KvmHolder],
    modules_disabled: bool,
    along: Collection[str] = (),
) -> tuple[Blocker, ...]:
    """The blockers of MODULE, given the processes that use KVM.

    The modules ALONG are unloaded with it, before it.
    """
    if module.availability is Availability.BUILTIN:
        return (Blocker(BlockerKind.BUILTIN, module.name, 0, "is part of the kernel image"),)
    found = []
    if modules_disabled:
        detail = "kernel.modules_disabled is 1 until the next boot"
        found.append(Blocker(BlockerKind.MODULES_DISABLED, module.name, 0, detail))
    found += [
        Blocker(BlockerKind.MODULE, name, 0, f"uses {module.name}")
        for name in module.holders
        if name not in along
    ]
    uses = module.refcount - len(module.holders)
    if not module.loaded or uses == 0:
        return tuple(found)
    pinning = [each for each in holders if each.machine or module.name not in _ONLY_FOR_MACHINES]
    found += [_process(holder) for holder in pinning]
    if not pinning:
        detail = (
            f"its reference count is {module.refcount}"
            if uses > 0
            else "the kernel reports no reference count"
        )
        found.append(Blocker(BlockerKind.UNKNOWN, module.name, 0, detail))
    return tuple(found)


def are_lasting(holders: Sequence[KvmHolder]) -> bool:
    """Whether a machine runs that is certainly no probe, so that waiting for seconds is useless."""
    return any(
        each.machine and (each.guest or not each.executable.startswith(_PROBING))
        for each in holders
    )


def sentence(module: str, blockers: Sequence[Blocker]) -> str:
    """One sentence that lists all BLOCKERS of MODULE."""
    named = ", ".join(str(blocker) for blocker in blockers[:MOST_NAMED])
    more = len(blockers) - MOST_NAMED
    tail = f" and {more} more" if more > 0 else ""
    return f"{module} is in use by {named}{tail}." if named else f"{module} is in use."


def _process(holder: KvmHolder) -> Blocker:
    unit = f" in {holder.unit}" if holder.unit else ""
    if holder.machine:
        detail = f"virtual machine of {holder.executable}{unit}"
        name = holder.guest or holder.executable
        return Blocker(BlockerKind.MACHINE, name, holder.pid, detail)
    detail = f"has /dev/kvm open without a virtual machine{unit}"
    return Blocker(BlockerKind.PROCESS, holder.executable, holder.pid, detail)

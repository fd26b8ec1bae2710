# SPDX-License-Identifier: LGPL-2.1-or-later
"""/dev/kvm and its permissions."""

from __future__ import annotations

from nestd.core.checks.finding import Finding, fail, note, passed, warn
from nestd.core.checks.situation import Situation
from nestd.core.model import Answer
from nestd.host.kernel.kvm_device import GROUP, PATH, KvmDevice

_UDEV = (
    "udev gives it to the group kvm when it appears; to repeat that: udevadm trigger"
    " --action=add --sysname-match=kvm"
)


def device(situation: Situation) -> Finding | None:
    """Whether /dev/kvm exists and QEMU may open it."""
    module, node = situation.module, situation.surroundings.device
    if module is None and not situation.snapshot.backend:
        return None
    name = "KVM" if module is None else module.name
    if not node.exists and module is not None and not module.loaded:
        return note("device", f"There is no {PATH}: {name} is not loaded.")
    if not node.exists:
        return fail(
            "device",
            f"{name} runs, but there is no {PATH}: no virtual machine can be started.",
            "Check whether /dev is a devtmpfs (findmnt /dev) and whether this is a container, which"
            f" has to be given {PATH}.",
        )
    if not node.is_device:
        again = "reboot" if module is None else f"reload {name}, or reboot"
        return fail(
            "device",
            f"{PATH} is not the device of KVM (character device 10:232).",
            f"Remove it and {again}: the kernel makes a new one.",
        )
    return _rights(situation, node)


def _rights(situation: Situation, node: KvmDevice) -> Finding:
    """The users who may open it."""
    rights = f"{node.owner}:{node.group}, mode {node.mode:04o}"
    if node.all_may_use and situation.nested is Answer.YES:
        return note(
            "device",
            f"{PATH} is there, for all users ({rights}): while nested virtualization is on, every"
            " local user can reach KVM's code for it.",
            "See what that means here: nestctl posture",
        )
    if node.all_may_use:
        return passed("device", f"{PATH} is there, for all users ({rights}).")
    if node.group_may_use:
        return passed("device", f"{PATH} is there, for the group {GROUP} ({rights}).")
    if node.group.isdigit() and node.mode & 0o060 == 0o060:
        return note(
            "device",
            f"{PATH} is there, for a group that has no name here ({rights}): whether QEMU's user is"
            " in it is not known.",
        )
    return warn(
        "device",
        f"{PATH} is neither for all users nor for the group {GROUP} ({rights}): QEMU may be"
        " refused.",
        _UDEV,
    )

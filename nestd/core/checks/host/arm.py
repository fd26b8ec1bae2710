# SPDX-License-Identifier: LGPL-2.1-or-later
"""arm64, where no module has "nested": the kernel command line decides whether KVM nests.

Observed with Linux 6.12 and 7.2 in QEMU: kvm-arm.mode=nested works since Linux 6.16, with FEAT_NV2;
on a host with a GICv2, KVM then does not start at all.
"""

from __future__ import annotations

from nestd.core.checks.finding import Finding, fail, note, passed, warn
from nestd.core.checks.situation import Situation
from nestd.core.model import Answer
from nestd.core.modules.values import NESTED, version
from nestd.core.modules.vendors import ARM
from nestd.core.modules.wording import place
from nestd.formats import arm_mode
from nestd.formats.modprobe.boot_arguments import advice

_FIRST_LINUX = (6, 16)
_FIRST_GIC = 3
_ASKED = f"{arm_mode.PARAMETER}={arm_mode.NESTED}"
_LOG = "journalctl -k -g 'kvm .1.:'"
_NOT_MODULES = ("kvm", "kvm_arm", "kvm_intel", "kvm_amd")


def kvm(situation: Situation) -> Finding | None:
    """Whether KVM runs, and if not, why."""
    if situation.facts.machine != ARM:
        return None
    if situation.facts.has_device:
        return passed("kvm", "KVM is part of this kernel and runs.")
    mode = situation.facts.arm_mode
    away = advice(situation.facts.boot_setup, mode.words)
    if mode.mode == arm_mode.NONE:
        word = f"{arm_mode.PARAMETER}={arm_mode.NONE}"
        return fail("kvm", f"KVM is switched off: the kernel command line has {word}.", away)
    if mode.mode == arm_mode.NESTED and 0 < situation.surroundings.gic < _FIRST_GIC:
        return fail(
            "kvm",
            f"This host has no KVM because of {_ASKED}: that needs a GICv3 interrupt controller,"
            f" and this host has a GICv{situation.surroundings.gic}.",
            away,
        )
    if situation.is_virtual:
        return fail(
            "kvm",
            "There is no KVM: this host is itself a virtual machine, and the host below gives it no"
            " hardware virtualization (EL2).",
            f"On the host below, booted with {_ASKED}, start this machine with QEMU's"
            " -machine virtualization=on.",
        )
    needs = f" {_ASKED} needs a GICv3; without one KVM does not run."
    asked = needs if _is_asked(situation) else ""
    return fail(
        "kvm",
        f"There is no KVM: this kernel has none, or the firmware did not start it at EL2.{asked}",
        f"The kernel says why: {_LOG}",
    )


def kernel(situation: Situation) -> Finding | None:
    """Whether the kernel is new enough."""
    if not _runs(situation) or situation.facts.kvm_nests:
        return None
    release = situation.facts.release
    if version(release) >= _FIRST_LINUX:
        return passed("kernel", f"This kernel, {release}, can nest (Linux 6.16 and later).")
    return fail(
        "kernel",
        f"This kernel, {release}, cannot nest: on arm64 that needs Linux 6.16 or later. Older"
        f" kernels accept {_ASKED} without effect.",
        "Boot Linux 6.16 or later.",
    )


def cpu(situation: Situation) -> Finding | None:
    """Whether the processor has FEAT_NV2, which the kernel reports only by using it."""
    if not _runs(situation):
        return None
    if situation.facts.kvm_nests:
        return passed("cpu", "The processor has what KVM needs to nest (FEAT_NV2).")
    is_old = version(situation.facts.release) < _FIRST_LINUX
    if is_old or not _is_asked(situation) or situation.facts.kvm_nests is None:
        return note(
            "cpu",
            "Whether the processor can nest (FEAT_NV2, an option since Armv8.4) is not known: the"
            f" kernel shows it once it has been booted with {_ASKED}.",
        )
    return fail(
        "cpu",
        f"KVM was booted with {_ASKED} and does not nest: the processor has no FEAT_NV2, or KVM"
        " does not run in VHE mode.",
        f"See how KVM runs: {_LOG}; or use a host whose processor has FEAT_NV2.",
    )


def nested(situation: Situation) -> Finding | None:
    """Whether KVM nests now, and how to change it."""
    if not _runs(situation):
        return None
    if situation.nested is Answer.YES:
        return passed("nested", f"Nested virtualization is on: KVM accepted {_ASKED}.")
    if situation.nested is Answer.UNKNOWN:
        return note(
            "nested",
            f"The kernel command line has {_ASKED}; whether KVM accepted it is not known,"
            " because /dev/kvm cannot be queried here.",
            f"If it did, the kernel log says VHE+NV2 mode: {_LOG}",
        )
    mode = situation.facts.arm_mode.mode
    given = f"{arm_mode.PARAMETER}={mode}" if mode else f"no {_ASKED}"
    return fail(
        "nested",
        f"Nested virtualization is off (the kernel command line has {given}): guests of this host"
        " cannot run guests of their own.",
        _switch_on(situation),
    )


def _switch_on(situation: Situation) -> str:
    if situation.surroundings.gic and situation.surroundings.gic < _FIRST_GIC:
        return (
            f"Do not boot this host with {_ASKED}: it has a GICv{situation.surroundings.gic}"
            " interrupt controller, with which KVM would not run at all."
        )
    if version(situation.facts.release) < _FIRST_LINUX:
        return "Boot Linux 6.16 or later first."
    if _is_asked(situation):
        return "See the finding about the processor."
    unsure = f" On a host with a GICv2 interrupt controller {_ASKED} stops KVM. Check first:"
    caution = "" if situation.surroundings.gic else f"{unsure} grep GIC /proc/interrupts"
    words = [word for word in situation.facts.arm_mode.words if word != _ASKED]
    return advice(situation.facts.boot_setup, words, [_ASKED]) + caution


def mode(situation: Situation) -> Finding | None:
    """A value of kvm-arm.mode that KVM does not know."""
    malformed = situation.facts.arm_mode.malformed
    if situation.facts.machine != ARM or not malformed:
        return None
    known = ", ".join(arm_mode.MODES)
    return warn(
        "kernel-command-line",
        f"KVM does not understand {' and '.join(malformed)} on the kernel command line: the modes"
        f" are {known}.",
        advice(situation.facts.boot_setup, malformed),
    )


def wrong_place(situation: Situation) -> Finding | None:
    """An option in modprobe.d for a module that does not exist on arm64."""
    if situation.facts.machine != ARM:
        return None
    found = [
        f"{place(each)} sets {name}'s {each.parameter}"
        for name in _NOT_MODULES
        for each in situation.facts.load_of(name).assignments
        if each.parameter == NESTED or (name == "kvm_arm" and each.line)
    ]
    if not found:
        return None
    return warn(
        "config-module",
        f"KVM is not a module here, so this has no effect: {'; '.join(found)}.",
        f"Nested virtualization is switched on by {_ASKED} on the kernel command line.",
    )


def _runs(situation: Situation) -> bool:
    return situation.facts.machine == ARM and situation.facts.has_device


def _is_asked(situation: Situation) -> bool:
    return situation.facts.arm_mode.mode == arm_mode.NESTED

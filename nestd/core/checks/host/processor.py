# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether this architecture and this processor can nest."""

from __future__ import annotations

from nestd.core.checks.finding import Finding, fail, note, passed, warn
from nestd.core.checks.host import below
from nestd.core.checks.situation import Situation
from nestd.core.model import Vendor
from nestd.core.modules.vendors import ARM, MODULES

_LPAR = "pSeries"
FIRST_POWER = 9  # KVM's CPU_FTR_ARCH_300 (book3s_hv.c, kvmhv_enable_nested)
_DAT_ENHANCEMENT = "3"  # the facility that KVM's nesting on s390x needs (kvm-s390.c)
_X86_NAMES = {Vendor.INTEL: ("Intel VT-x", "vmx"), Vendor.AMD: ("AMD-V", "svm")}


def architecture(situation: Situation) -> Finding:
    """Guide, 12: architectures that can nest."""
    machine = situation.facts.machine
    if machine in MODULES:
        return passed("architecture", f"KVM can nest on this architecture, {machine}.")
    if machine == ARM:
        return passed(
            "architecture",
            f"KVM can nest on this architecture, {machine}: since Linux 6.16, on processors with"
            " FEAT_NV2. Red Hat's guide does not cover it.",
        )
    return fail(
        "architecture",
        f"KVM does not nest on this architecture, {machine}: Linux has no nested virtualization"
        " for it.",
        "Use a host with an Intel, AMD, POWER9 or IBM Z processor, or an arm64 one with FEAT_NV2.",
    )


def cpu(situation: Situation) -> Finding | None:
    """Guide, 10 and 12: whether there is hardware virtualization, and if not, why."""
    if situation.facts.machine not in MODULES:
        return None
    if not situation.surroundings.processor.known:
        return note("cpu", "What this host's processor can do is not known: no /proc/cpuinfo.")
    if situation.facts.machine.startswith("ppc64"):
        return _power(situation)
    return _s390(situation) if situation.facts.machine == "s390x" else _x86(situation)


def _x86(situation: Situation) -> Finding:
    flags = situation.surroundings.processor.flags
    for name, flag in _X86_NAMES.values():
        if flag in flags:
            return passed("cpu", f"The processor has hardware virtualization: {name} ({flag}).")
    if "hypervisor" in flags:
        return fail(
            "cpu",
            "This host is itself a virtual machine, and the host below gives it no hardware"
            " virtualization (neither vmx nor svm).",
            below.how_to_expose(
                situation.surroundings.hypervisor or situation.snapshot.virtualization
            ),
        )
    return fail(
        "cpu",
        "The processor shows no hardware virtualization (neither vmx nor svm): it has none, or"
        " the firmware has switched it off.",
        "Enable Intel VT-x (Intel Virtualization Technology) or AMD-V (SVM Mode) in the firmware"
        " set-up of this machine.",
    )


def _power(situation: Situation) -> Finding:
    generation, mmu = situation.power_generation, situation.surroundings.processor.mmu
    if situation.surroundings.processor.platform == _LPAR:
        return fail(
            "cpu",
            "This host is a logical partition (LPAR, platform pSeries), where KVM does not give"
            " guests nested-hv: it is itself a guest of PowerVM or KVM (nested v2 on POWER10).",
            "Use a host whose KVM runs on bare metal (platform PowerNV, POWER9).",
        )
    if 0 < generation < FIRST_POWER:
        return fail(
            "cpu",
            f"POWER{generation} does not work as a host for nested virtualization.",
            "Use a host with a POWER9 processor.",
        )
    if mmu == "Hash":
        return fail(
            "cpu",
            "The processor runs with the hash MMU, and KVM nests on POWER with the radix MMU only.",
            "Remove disable_radix from the kernel command line and reboot.",
        )
    if generation and mmu == "Radix":
        return passed("cpu", f"The processor is a POWER{generation} with the radix MMU.")
    return note(
        "cpu",
        "It is not known whether this is a POWER9 processor with the radix MMU, which nested"
        " virtualization needs.",
        'Look for the lines "cpu" and "MMU" in /proc/cpuinfo.',
    )


def _s390(situation: Situation) -> Finding:
    processor = situation.surroundings.processor
    if "sie" not in processor.flags:
        return fail(
            "cpu",
            "The processor shows no start-interpretive-execution facility (sie), without which"
            " there is no KVM.",
            "Where this host is itself a virtual machine, enable nested virtualization on the"
            " machine below; otherwise ask the machine's administrator why SIE is withheld from"
            " this LPAR.",
        )
    if processor.facilities and _DAT_ENHANCEMENT not in processor.facilities:
        return warn(
            "cpu",
            "The processor has sie but not facility 3, without which KVM's guests see no sie,"
            " whatever kvm.nested says.",
            "Use a host with a newer IBM Z processor, or a z/VM or KVM below that passes the"
            " facility on.",
        )
    return passed("cpu", "The processor has the start-interpretive-execution facility (sie).")

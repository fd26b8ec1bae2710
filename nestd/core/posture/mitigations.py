# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's reports on the processor's vulnerabilities and their mitigations.

The sentences are those of /sys/devices/system/cpu/vulnerabilities
(Documentation/admin-guide/hw-vuln/).
"""

from __future__ import annotations

from collections.abc import Sequence

from nestd.core.checks.finding import Finding, note, passed, warn
from nestd.core.model import Answer, Vendor
from nestd.core.posture.standing import Standing
from nestd.formats.modprobe.boot_arguments import advice

# Vulnerabilities through which a guest can read data of its host or of other guests.
_OF_GUESTS = (
    "gather_data_sampling",
    "itlb_multihit",
    "l1tf",
    "mds",
    "mmio_stale_data",
    "old_microcode",
    "retbleed",
    "spec_rstack_overflow",
    "spec_store_bypass",
    "spectre_v1",
    "spectre_v2",
    "srbds",
    "tsa",
    "tsx_async_abort",
    "indirect_target_selection",
    "reg_file_data_sampling",
    "vmscape",
)
_OFF = ("N", "0", "off", "never")
_CORE = "kvm"
_AVIC_FAULT = "CVE-2026-74516"


def command_line(standing: Standing) -> Sequence[Finding]:
    """mitigations=off, which disables all of them, including those for nested guests."""
    words = standing.facts.cmdline.split()
    given = [word for word in words if word.startswith(b"mitigations=")]
    if not given or not given[-1].startswith(b"mitigations=off"):
        return [passed("mitigations", "The kernel command line leaves the mitigations on.")]
    return [
        warn(
            "mitigations",
            "The kernel command line has mitigations=off: guests and nested guests are not"
            " protected from side channels of the processor.",
            advice(standing.facts.boot_setup, [given[-1].decode("ascii", "backslashreplace")]),
        )
    ]


def processor(standing: Standing) -> Sequence[Finding]:
    """One finding per processor vulnerability that concerns guests."""
    found = standing.vulnerabilities
    if found is None:
        return [note("cpu-vulnerabilities", "What the processor is vulnerable to is not known.")]
    return [_sentence(name, found[name]) for name in sorted(found) if name in _OF_GUESTS]


def _sentence(name: str, text: str) -> Finding:
    id_, says = f"cpu-{name.replace('_', '-')}", f"{name}: {text}."
    lower = text.lower()
    if lower.startswith("not affected"):
        return passed(id_, says)
    if "smt vulnerable" in lower and "vulnerable" not in lower.replace("smt vulnerable", ""):
        return warn(
            id_,
            f"{says} Guests that share a core can learn about each other.",
            "Where guests do not trust each other: switch SMT off, or use core scheduling.",
        )
    if "vulnerable" in lower:
        return warn(
            id_,
            says,
            "Update the kernel and the microcode; see https://docs.kernel.org/admin-guide/hw-vuln/",
        )
    if "mitigation" in lower:
        return passed(id_, says)
    return note(id_, says)


def nx_huge_pages(standing: Standing) -> Sequence[Finding]:
    """kvm.nx_huge_pages, which prevents guests from halting an affected CPU (itlb_multihit)."""
    core = standing.facts.modules.get(_CORE)
    value = None if core is None else core.parameters.get("nx_huge_pages")
    affected = (standing.vulnerabilities or {}).get("itlb_multihit", "")
    if value is None or standing.facts.machine not in ("x86_64", "i686"):
        return []
    if value not in _OFF:
        return [passed("nx-huge-pages", f"kvm.nx_huge_pages is {value}.")]
    if affected.lower().startswith("not affected"):
        return [passed("nx-huge-pages", "kvm.nx_huge_pages is off, and not needed here.")]
    return [
        warn(
            "nx-huge-pages",
            f"kvm.nx_huge_pages is {value}: on an affected processor a guest can halt the host"
            " (itlb_multihit).",
            "Set it to auto, which switches it on where it is needed: nestctl set kvm"
            " nx_huge_pages=auto",
        )
    ]


def avic(standing: Standing) -> Sequence[Finding]:
    """AVIC together with nesting: CVE-2026-74516; before Linux 5.19 KVM did not combine them."""
    module = standing.module
    if module is None or standing.snapshot.vendor is not Vendor.AMD:
        return []
    on = module.parameters.get("avic", "N") in ("Y", "1")
    if not on or standing.nested is not Answer.YES:
        return [passed("avic", "AVIC and nested virtualization are not on together.")]
    if _AVIC_FAULT in standing.fixes.cves:
        text = f"AVIC is on together with nested virtualization; {_AVIC_FAULT} is fixed, says"
        return [passed("avic", f"{text} {standing.fixes.source}.")]
    return [
        warn(
            "avic",
            "AVIC is on together with nested virtualization, where a guest that runs guests has"
            f" reached the host's x2APIC registers ({_AVIC_FAULT}).",
            f"Unless your kernel has the fix: nestctl set {module.name} avic=0",
        )
    ]

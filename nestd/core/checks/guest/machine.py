# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's domain type, architecture and machine type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from nestd.core.checks.finding import Finding, fail, passed, warn
from nestd.core.checks.guest.guest import Guest, replace
from nestd.core.modules.vendors import ARM
from nestd.formats.printable import quoted

_EMULATED = "qemu"
_CONFIDENTIAL: Mapping[str, str] = MappingProxyType(
    {
        "sev": "AMD SEV",
        "sev-snp": "AMD SEV-SNP",
        "tdx": "Intel TDX",
        "s390-pv": "IBM Secure Execution",
    }
)
# The guest architectures that KVM runs on a host of each architecture.
_GUESTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "x86_64": ("x86_64", "i686"),
        "i686": ("i686",),
        "ppc64le": ("ppc64le", "ppc64"),
        "ppc64": ("ppc64le", "ppc64"),
        "s390x": ("s390x",),
        ARM: ("aarch64",),
    }
)
_MACHINES: Mapping[str, str] = MappingProxyType(
    {
        "ppc64le": "pseries",
        "ppc64": "pseries",
        "s390x": "s390-ccw-virtio",
        ARM: "virt",
    }
)
_ONLY_WAY = ("-machine", "-M")  # to a property on arm64 that has no element in libvirt
_OVERRIDING = ("-cpu", "-machine", "-M", "-accel", "-enable-kvm", "-global")


def runs_here(guest: Guest) -> bool:
    """Whether it is a KVM guest of the host's own kind; otherwise its processor is not checked."""
    return guest.domain.type == "kvm" and guest.arch in _GUESTS.get(
        guest.situation.facts.machine, ()
    )


def domain_type(guest: Guest) -> Finding:
    """Whether the guest uses KVM: the host's nesting does not affect other domain types."""
    kind = guest.domain.type
    if kind == "kvm":
        return passed("domain-type", "The guest runs on KVM.")
    if not kind:
        what = "The <domain> element has no type"
    elif kind == _EMULATED:
        what = (
            "The guest's processor is emulated by QEMU (domain type qemu), so this host's nested"
            " virtualization does not apply to it"
        )
    else:
        what = f"The guest does not run on KVM (domain type {quoted(kind)})"
    return fail("domain-type", f"{what}.", replace(guest, "the <domain> tag", _kvm_tag(guest)))


def _kvm_tag(guest: Guest) -> str:
    """The guest's own <domain> tag with type kvm. Keeps its namespace declarations, without which
    libvirt silently drops the elements of the namespace."""
    tag = guest.domain.tag or "<domain>"
    kept = re.sub(r"""\s+(?:type|id)\s*=\s*(?:'[^']*'|"[^"]*")""", "", tag)
    return kept.replace("<domain", "<domain type='kvm'", 1)


def os_type(guest: Guest) -> Finding | None:
    """Whether the guest is a full virtual machine (hvm), not another kind that libvirt knows."""
    domain = guest.domain
    if domain.os_type == "hvm":
        return None
    machine = f" machine={_quoted(domain.machine)}" if domain.machine else ""
    arch = f" arch='{guest.situation.facts.machine}'"
    xml = f"<type{arch}{machine}>hvm</type>"
    if not domain.os_type:
        return fail(
            "os-type",
            "The XML does not say what kind of machine the guest is (<os> has no <type>).",
            replace(guest, "its <type> in <os>", xml),
        )
    return fail(
        "os-type",
        f"A guest of the kind {quoted(domain.os_type)} cannot pass on hardware virtualization.",
        replace(guest, "its <type> in <os>", xml),
    )


def architecture(guest: Guest) -> Finding | None:
    """Whether the guest has the host's architecture; others are emulated."""
    machine = guest.situation.facts.machine
    if machine not in _GUESTS:
        return None
    if guest.arch in _GUESTS[machine]:
        return passed("guest-architecture", f"The guest's architecture is {quoted(guest.arch)}.")
    return fail(
        "guest-architecture",
        f"The guest's architecture is {quoted(guest.arch)}: this host, {machine}, can only emulate"
        " it.",
        replace(guest, "arch= in its <type>", f"arch='{machine}'"),
    )


def machine_type(guest: Guest) -> Finding | None:
    """Guide, 7: on some architectures only one machine type has KVM or can nest."""
    wanted, given = _MACHINES.get(guest.arch), guest.domain.machine
    if wanted is None or not runs_here(guest):
        return None
    if not given or given == wanted or given.startswith(f"{wanted}-"):
        return passed("machine-type", f"The guest's machine type is {wanted}.")
    return fail(
        "machine-type",
        f"The guest's machine type is {quoted(given)}, and only {wanted} can nest.",
        replace(guest, "machine= in its <type>", f"machine='{wanted}'"),
    )


def launch_security(guest: Guest) -> Finding | None:
    """A confidential guest cannot run guests of its own."""
    kind = guest.domain.launch_security
    if not kind:
        return None
    name = _CONFIDENTIAL.get(kind, quoted(kind))
    return fail(
        "launch-security",
        f"The guest is a confidential virtual machine ({name}), and these cannot run virtual"
        " machines.",
        f"With {guest.edit}, remove its <launchSecurity> element.",
    )


def qemu_arguments(guest: Guest) -> Finding | None:
    """QEMU arguments that bypass libvirt and these checks."""
    overriding = [each for each in _OVERRIDING if guest.arch != ARM or each not in _ONLY_WAY]
    found = [each for each in guest.domain.qemu_arguments if each.startswith(tuple(overriding))]
    if not found:
        return None
    return warn(
        "qemu-arguments",
        f"The XML passes arguments straight to QEMU ({quoted(' '.join(found))} ...), which"
        " override what libvirt knows about the guest.",
        f"With {guest.edit}, express the same in <cpu> and <features>, and remove"
        " <qemu:commandline>.",
    )


def _quoted(text: str) -> str:
    safe = "".join(char for char in text if char.isalnum() or char in "-_.")
    return f"'{safe}'"

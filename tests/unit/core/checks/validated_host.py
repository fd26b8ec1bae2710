# SPDX-License-Identifier: LGPL-2.1-or-later
"""A simulated host for Manager.Validate, and its expected findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from situations import X86_RELEASE, Files

from nestd.formats.libvirt_xml.qemu_capabilities import QemuCapabilities

CLASH = "kvm-s390: A KVM host that supports nesting cannot back its KVM guests with huge pages"
NO_FLAGS = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme msr\n"
POWER9 = "processor\t: 0\ncpu\t\t: POWER9 (raw), altivec supported\n\nplatform\t: PowerNV\n"
BUILTIN_INTEL: Files = {
    "/sys/module/kvm_intel/initstate": None,
    "/sys/module/kvm_intel/refcnt": None,
    f"/lib/modules/{X86_RELEASE}/modules.builtin": "kernel/arch/x86/kvm/kvm-intel.ko\n",
}
LOADED_AMD = frozenset({"svm", "npt"})


@dataclass(frozen=True)
class Host:
    """A host, and by id the verdict and words of each finding; "" for no such finding."""

    kind: str
    expected: Mapping[str, tuple[str, ...]]
    files: Files = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def intel(expected: Mapping[str, tuple[str, ...]], files: Files, **options: Any) -> Host:
    return Host("intel", expected, files, options)


def noted(**changes: Any) -> QemuCapabilities:
    known: dict[str, Any] = {
        "emulator": "/usr/libexec/qemu-kvm",
        "arch": "x86_64",
        "kvm": True,
        "nesting": True,
        "cpu": LOADED_AMD,
    }
    return QemuCapabilities(**{**known, **changes})


# Written as: the host, its findings.

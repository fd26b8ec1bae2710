# SPDX-License-Identifier: LGPL-2.1-or-later
"""KVM's modules on each architecture, and which vendor's KVM this host has."""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType

from nestd.core.model import Answer, Vendor
from nestd.formats.modprobe.kernel_params import KernelVersion, ParameterType
from nestd.host.kernel.sysfs import Availability, ModuleFacts

ARM = "aarch64"
COMMON = "kvm"
"""The module that all vendors of an architecture share, and that their modules use."""
LPAR = "powervm"
"""systemd-detect-virt(1)'s name for a logical partition of IBM PowerVM."""

_X86 = ("kvm_intel", "kvm_amd", COMMON)

# By uname -m, each module before those that it uses. Architectures not listed have no "nested"
# module parameter: on arm64 the kernel command line's kvm-arm.mode=nested decides, see backend.
MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "x86_64": _X86,
        "i686": _X86,
        "ppc64le": ("kvm_hv", "kvm"),
        "ppc64": ("kvm_hv", "kvm"),
        "s390x": ("kvm",),
    }
)

HOST_MODULES: Mapping[Vendor, str] = MappingProxyType(
    {
        Vendor.INTEL: "kvm_intel",
        Vendor.AMD: "kvm_amd",
        Vendor.POWER: "kvm_hv",
        Vendor.S390: "kvm",
    }
)

# How each vendor's module declares "nested" (arch/x86/kvm/vmx/vmx.c, svm/svm.c,
# arch/powerpc/kvm/book3s_hv.c, arch/s390/kvm/kvm-s390.c): needed if there is no modinfo.
_NESTED_TYPES: Mapping[Vendor, ParameterType] = MappingProxyType(
    {
        Vendor.INTEL: ParameterType.BOOL,
        Vendor.AMD: ParameterType.INT,
        Vendor.POWER: ParameterType.BOOL,
        Vendor.S390: ParameterType.INT,
    }
)

# The first kernel with kvm_intel's "nested" on by default
# (Documentation/virt/kvm/x86/running-nested-guests.rst); distributions enabled it in older ones.
_INTEL_DEFAULT_ON = (4, 20)

_X86_VENDORS = (Vendor.INTEL, Vendor.AMD)
_CPU_FLAGS = MappingProxyType({Vendor.INTEL: "vmx", Vendor.AMD: "svm"})


# The latest kernel whose KVM was confirmed not to nest on these.
_NO_NESTING_UNTIL: Mapping[str, KernelVersion] = MappingProxyType(
    {"riscv64": (7, 2), "loongarch64": (7, 2)}
)


def never_nests(machine: str, kernel: KernelVersion) -> bool:
    """Whether KVM of this architecture cannot nest in KERNEL; False for newer, unknown kernels."""
    return kernel <= _NO_NESTING_UNTIL.get(machine, (-1, 0))


def modules_of(machine: str) -> tuple[str, ...]:
    """The KVM modules of the architecture MACHINE (uname -m); empty if none are known."""
    return MODULES.get(machine, ())


def nested_holders(machine: str) -> Mapping[str, ParameterType]:
    """The modules of MACHINE with a "nested" parameter, and its type."""
    candidates = (vendor for vendor in HOST_MODULES if machine in _machines_of(vendor))
    return {HOST_MODULES[vendor]: _NESTED_TYPES[vendor] for vendor in candidates}


def default_nested(module: str, kernel: KernelVersion) -> Answer:
    """The default of MODULE's "nested"; UNKNOWN if it varies."""
    if module == HOST_MODULES[Vendor.S390]:
        return Answer.NO
    if module == HOST_MODULES[Vendor.INTEL] and kernel < _INTEL_DEFAULT_ON:
        return Answer.UNKNOWN
    return Answer.YES


def cpu_flag(module: str) -> str:
    """The processor flag for which udev loads MODULE; "" if there is none."""
    return next((_CPU_FLAGS[each] for each in _X86_VENDORS if HOST_MODULES[each] == module), "")


def detect(machine: str, modules: Mapping[str, ModuleFacts], flags: Set[str]) -> Vendor:
    """The vendor whose module is loaded, else the one that processor and modules allow."""
    possible = [vendor for vendor in HOST_MODULES if machine in _machines_of(vendor)]
    for vendor in possible:
        if modules[HOST_MODULES[vendor]].loaded:
            return vendor
    for vendor in possible:
        supported = vendor not in _X86_VENDORS or _CPU_FLAGS[vendor] in flags
        if supported and modules[HOST_MODULES[vendor]].availability is not Availability.MISSING:
            return vendor
    return Vendor.NONE


def _machines_of(vendor: Vendor) -> tuple[str, ...]:
    if vendor in _X86_VENDORS:
        return ("x86_64", "i686")
    return ("ppc64le", "ppc64") if vendor is Vendor.POWER else ("s390x",)

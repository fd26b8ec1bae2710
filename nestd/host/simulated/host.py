# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of a simulated host: those of a freshly installed RHEL or Fedora host of each kind.

Everything that nestd reads from a host is a file below the Root, so a simulated host is a
directory.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.root import Root

_X86_CONF = b"""\
# Setting modprobe kvm_intel/kvm_amd nested = 1
# only enables Nested Virtualization until the next reboot or
# module reload. Uncomment the option applicable to your
# system below to persist it across reboots.
#
# User changes in this file are preserved across upgrades.
#
# For Intel
#options kvm_intel nested=1
#
# For AMD
#options kvm_amd nested=1
"""
_S390_CONF = b"""\
# User changes in this file are preserved across upgrades.
#
# Setting modprobe kvm nested = 1
# only enables Nested Virtualization until the next reboot or
# module reload. Uncomment the line below to persist it.
#options kvm nested=1
"""
_POWER_CONF = b"""\
# User changes in this file are preserved across upgrades.
#
# Setting modprobe kvm_hv nested = 1
# only enables Nested Virtualization until the next reboot or
# module reload. Uncomment the line below to persist it.
#options kvm_hv nested=1
"""


@dataclass(frozen=True)
class SimulatedModule:
    """A module: its parameters with their types and defaults (as sysfs shows them)."""

    name: str
    parameters: Mapping[str, tuple[ParameterType, str]] = field(default_factory=dict)
    writable: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostKind:
    """One kind of host."""

    name: str
    machine: str
    release: str
    cpuinfo: str
    kvm_conf: bytes
    system: str  # the operating system, "rhel 9.5" or "fedora 43"
    loaded: tuple[str, ...]  # in loading order
    modules: Mapping[str, SimulatedModule]
    cmdline: bytes = b"BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet\n"
    interrupts: bytes = b""  # /proc/interrupts; "" if irrelevant for the host


_BOOL, _INT, _UINT = ParameterType.BOOL, ParameterType.INT, ParameterType.UINT

_KVM_X86 = SimulatedModule(
    "kvm",
    {
        "enable_virt_at_load": (_BOOL, "Y"),
        "halt_poll_ns": (_UINT, "200000"),
        "ignore_msrs": (_BOOL, "N"),
    },
    writable=frozenset({"halt_poll_ns", "ignore_msrs"}),
)
_KVM_INTEL = SimulatedModule(
    "kvm_intel",
    {
        "enable_shadow_vmcs": (_BOOL, "Y"),
        "ept": (_BOOL, "Y"),
        "nested": (_BOOL, "Y"),
        "ple_gap": (_UINT, "128"),
    },
    needs=("kvm",),
)
_KVM_AMD = SimulatedModule(
    "kvm_amd",
    {
        "avic": (_BOOL, "N"),
        "nested": (_INT, "1"),
        "npt": (_BOOL, "Y"),
        "vls": (_INT, "1"),
    },
    needs=("kvm",),
)
_KVM_HV = SimulatedModule(
    "kvm_hv",
    {"nested": (_BOOL, "Y"), "one_vm_per_core": (_BOOL, "N")},
    writable=frozenset({"nested", "one_vm_per_core"}),
    needs=("kvm",),
)
_KVM_POWER = SimulatedModule("kvm", {"halt_poll_ns": (_UINT, "10000")}, frozenset({"halt_poll_ns"}))
_KVM_S390 = SimulatedModule(
    "kvm",
    {
        "halt_poll_ns": (_UINT, "50000"),
        "halt_poll_max_steal": (ParameterType.BYTE, "10"),
        "hpage": (_INT, "0"),
        "nested": (_INT, "0"),
    },
    writable=frozenset({"halt_poll_ns", "halt_poll_max_steal"}),
)


def _modules(*modules: SimulatedModule) -> Mapping[str, SimulatedModule]:
    return MappingProxyType({module.name: module for module in modules})


def _interrupts(chip: str) -> bytes:
    return f"           CPU0\n 11:       1234     {chip}  27 Level     arch_timer\n".encode()


KINDS: Mapping[str, HostKind] = MappingProxyType(
    {
        "intel": HostKind(
            name="intel",
            machine="x86_64",
            release="5.14.0-503.11.1.el9_5.x86_64",
            cpuinfo="processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme msr vmx ept\n",
            kvm_conf=_X86_CONF,
            system="rhel 9.5",
            loaded=("kvm", "kvm_intel"),
            modules=_modules(_KVM_INTEL, _KVM_AMD, _KVM_X86),
        ),
        "amd": HostKind(
            name="amd",
            machine="x86_64",
            release="5.14.0-503.11.1.el9_5.x86_64",
            cpuinfo="processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu vme msr svm npt\n",
            kvm_conf=_X86_CONF,
            system="rhel 9.5",
            loaded=("kvm", "kvm_amd"),
            modules=_modules(_KVM_INTEL, _KVM_AMD, _KVM_X86),
        ),
        "power": HostKind(
            name="power",
            machine="ppc64le",
            release="4.18.0-553.22.1.el8_10.ppc64le",
            cpuinfo="processor\t: 0\ncpu\t\t: POWER9, altivec supported\n\n"
            "platform\t: PowerNV\nMMU\t\t: Radix\n",
            kvm_conf=_POWER_CONF,
            system="rhel 8.10",
            loaded=("kvm", "kvm_hv"),
            modules=_modules(_KVM_HV, _KVM_POWER),
        ),
        "s390": HostKind(
            name="s390",
            machine="s390x",
            release="5.14.0-503.11.1.el9_5.s390x",
            cpuinfo="vendor_id       : IBM/S390\nfeatures\t: esan3 zarch stfle sie\n",
            kvm_conf=_S390_CONF,
            system="rhel 9.5",
            loaded=("kvm",),
            modules=_modules(_KVM_S390),
        ),
        "arm64": HostKind(
            name="arm64",
            machine="aarch64",
            release="6.17.1-300.fc43.aarch64",
            cpuinfo="processor\t: 0\nFeatures\t: fp asimd atomics sve paca pacg\n"
            "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd4f\n",
            kvm_conf=_X86_CONF,
            system="fedora 43",
            loaded=(),
            modules={},
            interrupts=_interrupts("GICv3"),
        ),
    }
)


def install(root: Root, kind: HostKind, situation: Mapping[str, bytes]) -> None:
    """Write the host's files below ROOT; those of its SITUATION replace others.

    Existing files are kept.
    """
    files = {
        "/etc/modprobe.d/kvm.conf": kind.kvm_conf,
        "/etc/modprobe.d/vhost.conf": b"options vhost max_mem_regions=509\n",
        "/etc/os-release": _os_release(kind),
        "/etc/machine-id": uuid.uuid4().hex.encode() + b"\n",
        "/proc/cmdline": kind.cmdline,
        "/proc/cpuinfo": kind.cpuinfo.encode(),
        "/proc/sys/kernel/modules_disabled": b"0\n",
        "/proc/sys/kernel/random/boot_id": str(uuid.uuid4()).encode() + b"\n",
        **({"/proc/interrupts": kind.interrupts} if kind.interrupts else {}),
        **boot_files(kind),
        **situation,
    }
    add_files(root, files)
    root.at("/sys/module").mkdir(parents=True, exist_ok=True)
    root.at("/dev").mkdir(parents=True, exist_ok=True)


def add_files(root: Root, files: Mapping[str, bytes]) -> None:
    """Write FILES, by path; existing ones are kept."""
    for path, data in files.items():
        target = root.at(path)
        if not target.exists() and not target.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def boot_files(
    kind: HostKind, *, builtin: Collection[str] = (), missing: bool = False
) -> Mapping[str, bytes]:
    """depmod's lists: KVM's modules that have a file, and those in the kernel image."""
    listed = () if missing else tuple(kind.modules.values())
    inside = b"".join(f"{_module_file(name)}\n".encode().replace(b".xz", b"") for name in builtin)
    return {
        f"/lib/modules/{kind.release}/modules.builtin": b"kernel/fs/ext4/ext4.ko\n" + inside,
        f"/lib/modules/{kind.release}/modules.dep": _modules_dep(
            [module for module in listed if module.name not in builtin], builtin
        ),
    }


def _os_release(kind: HostKind) -> bytes:
    distribution, version = kind.system.split()
    name = {"rhel": "Red Hat Enterprise Linux", "fedora": "Fedora Linux"}[distribution]
    fields = {"NAME": name, "VERSION_ID": version, "ID": distribution}
    fields["PRETTY_NAME"] = f"{name} {version}"
    return "".join(f'{key}="{value}"\n' for key, value in fields.items()).encode()


def _modules_dep(modules: Iterable[SimulatedModule], builtin: Collection[str]) -> bytes:
    lines = []
    for module in modules:
        needs = " ".join(_module_file(name) for name in module.needs if name not in builtin)
        lines.append(f"{_module_file(module.name)}: {needs}\n")
    return "".join(lines).encode()


def _module_file(name: str) -> str:
    return f"kernel/virt/kvm/{name.replace('_', '-')}.ko.xz"

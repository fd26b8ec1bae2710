# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that put a simulated host into a situation (see formats.simulation).

Situations that change the kernel's behaviour, such as load-fails, are in kernel.py. Existing files
are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nestd.formats.simulation import Simulation
from nestd.host.root import Root
from nestd.host.simulated.host import HostKind, boot_files

VIRTUALIZATION = "/simulated/virtualization"
_DMI = "/sys/class/dmi/id"
_NOTHING_NESTED = frozenset({"vmx", "svm", "sie"})


@dataclass(frozen=True)
class _Hypervisor:
    """The traces of a hypervisor that are visible in a virtual machine."""

    name: str  # as named by systemd-detect-virt(1)
    vendor: str = ""  # the firmware's sys_vendor
    product: str = ""
    tag: str = ""  # chassis_asset_tag
    bios: str = ""  # bios_vendor


_HYPERVISORS = {
    "azure": _Hypervisor(
        *("microsoft", "Microsoft Corporation", "Virtual Machine"),
        "7783-7084-3265-9085-8269-3286-77",
    ),
    "ec2": _Hypervisor("amazon", "Amazon EC2", "m7i.large", "Amazon EC2"),
    "gce": _Hypervisor("google", "Google", "Google Compute Engine"),
    "hyperv": _Hypervisor("microsoft", "Microsoft Corporation", "Virtual Machine"),
    "kvm": _Hypervisor("kvm", "Red Hat", "KVM"),
    "parallels": _Hypervisor("parallels", "Parallels International GmbH.", "Parallels VM"),
    "proxmox": _Hypervisor(
        *("kvm", "QEMU", "Standard PC (Q35 + ICH9, 2009)", "", "Proxmox distribution of EDK II"),
    ),
    "virtualbox": _Hypervisor("oracle", "innotek GmbH", "VirtualBox"),
    "vmware": _Hypervisor("vmware", "VMware, Inc.", "VMware Virtual Platform"),
    "wsl": _Hypervisor("wsl"),
    "xen": _Hypervisor("xen", "Xen", "HVM domU"),
}


def before_boot(simulation: Simulation, kind: HostKind) -> Mapping[str, bytes]:
    """The files present before the kernel starts, by path."""
    module = kind.loaded[-1] if kind.loaded else "kvm"
    files: dict[str, bytes] = {}
    if "overridden" in simulation:
        files["/etc/modprobe.d/kvm.conf"] = kind.kvm_conf + _options(module, "1")
        files["/etc/modprobe.d/site.conf"] = b"# rolled out by configuration management\n"
        files["/etc/modprobe.d/site.conf"] += _options(module, "0")
    if "cmdline" in simulation:
        word = "kvm-arm.mode=nvhe" if kind.machine == "aarch64" else f"{module}.nested=0"
        files["/proc/cmdline"] = kind.cmdline.rstrip() + f" {word}\n".encode()
    if "kvm-arm-mode" in simulation:
        mode = simulation.situations["kvm-arm-mode"]
        files["/proc/cmdline"] = kind.cmdline.rstrip() + f" kvm-arm.mode={mode}\n".encode()
    if "gicv2" in simulation:
        files["/proc/interrupts"] = kind.interrupts.replace(b"GICv3", b"GICv2")
    if "blacklisted" in simulation:
        files["/etc/modprobe.d/blacklist-kvm.conf"] = f"blacklist {module}\n".encode()
    if "builtin" in simulation:
        files |= boot_files(kind, builtin=kind.loaded)
    if "missing" in simulation:
        files |= boot_files(kind, missing=True)
    if "guest-of" in simulation:
        files |= dict(_guest_of(_HYPERVISORS[simulation.situations["guest-of"]], kind))
    return files


def after_boot(simulation: Simulation, kind: HostKind) -> Mapping[str, bytes]:
    """The files written after boot; they take effect at the next load."""
    module = kind.loaded[-1] if kind.loaded else "kvm"
    if "config-error" in simulation:
        return {"/etc/modprobe.d/site.conf": _options(module, "maybe")}
    return {}


def has_kvm(simulation: Simulation) -> bool:
    """Whether the boot starts KVM."""
    return not simulation.situations.keys() & {"blacklisted", "missing", "guest-of"}


def virtualization(root: Root) -> str:
    """The virtualization requested for a simulated host, as in systemd-detect-virt(1); or ""."""
    try:
        return root.at(VIRTUALIZATION).read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _options(module: str, value: str) -> bytes:
    return f"options {module} nested={value}\n".encode()


def _guest_of(hypervisor: _Hypervisor, kind: HostKind) -> Iterator[tuple[str, bytes]]:
    yield VIRTUALIZATION, f"{hypervisor.name}\n".encode()
    yield "/proc/cpuinfo", _cpuinfo(kind).encode()
    if kind.machine != "x86_64":
        return
    if hypervisor.name == "wsl":
        yield "/proc/sys/kernel/osrelease", b"5.15.167.4-microsoft-standard-WSL2\n"
        return
    for file, text in (
        ("sys_vendor", hypervisor.vendor),
        ("product_name", hypervisor.product),
        ("chassis_asset_tag", hypervisor.tag),
        ("bios_vendor", hypervisor.bios),
    ):
        yield f"{_DMI}/{file}", f"{text}\n".encode()


def _cpuinfo(kind: HostKind) -> str:
    """cpuinfo without virtualization features, and with the flag of a hypervisor below."""
    lines = []
    for line in kind.cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if key.strip() in ("flags", "features"):
            left = [flag for flag in value.split() if flag not in _NOTHING_NESTED | {"ept", "npt"}]
            value = " " + " ".join([*left, *["hypervisor"] * (kind.machine == "x86_64")])
        lines.append(f"{key}{colon}{value}".replace("PowerNV", "pSeries"))
    return "\n".join(lines) + "\n"

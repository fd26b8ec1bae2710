# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hypervisor or container that this host itself runs in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nestd.core.checks.finding import Finding, note, passed, warn
from nestd.core.checks.situation import Situation
from nestd.formats.virtualization import is_container

_ID = "host-virtualization"

# Keys are names from systemd-detect-virt(1).
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "amazon": "Amazon EC2",
        "apple": "Apple's hypervisor",
        "google": "Google Compute Engine",
        "microsoft": "Microsoft Hyper-V",
        "oracle": "Oracle VirtualBox",
        "powervm": "IBM PowerVM",
        "qemu": "QEMU without KVM",
        "vm-other": "a hypervisor of unknown kind",
        "vmware": "VMware",
        "wsl": "Microsoft Hyper-V (WSL 2)",
        "parallels": "Parallels",
        "xen": "Xen",
        "zvm": "IBM z/VM",
    }
)


def host_virtualization(situation: Situation) -> Finding:
    """Guide, 16 and 17: nesting on a host that is itself a guest."""
    kind = situation.snapshot.virtualization
    if kind == "none":
        return passed(_ID, "This host runs on bare metal.")
    if is_container(kind):
        return note(
            _ID,
            f"nestd runs in a container ({kind}): the kernel, its modules and the processor are"
            " those of the host outside and are visible here; modprobe.d, libvirt and the virtual"
            " machines of that host are not.",
            "Run nestd on the host outside.",
        )
    deeper = (
        "Its virtual machines are already nested; virtual machines inside those (L3) are"
        " not tested and do not work properly."
    )
    if kind == "kvm":
        return warn(
            _ID,
            f"This host is itself a virtual machine, on KVM. {deeper}",
            "It can run nested guests; leave nested virtualization off in it, unless you need that"
            " third level.",
        )
    return warn(
        _ID,
        f"This host is itself a virtual machine, on {_NAMES.get(kind, kind)}. Guests on it may"
        f" work, but that is not supported where the hypervisor below is not KVM. {deeper}",
        "For production, use bare metal, or a host whose hypervisor is KVM.",
    )

# SPDX-License-Identifier: LGPL-2.1-or-later
"""How to give this host hardware virtualization in the hypervisor that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_COLD = "Then shut this machine down and start it; a reboot is not enough."
_KVM = (
    "On the host below, switch nested virtualization on (nested=1 for kvm_intel or kvm_amd) and"
    " give this machine the host's processor: in libvirt's XML <cpu mode='host-passthrough'/>, in"
    f" Proxmox VE qm set ID --cpu host. {_COLD}"
)
# Keys are names from systemd-detect-virt(1), except Azure and Proxmox VE.
_HINTS: Mapping[str, str] = MappingProxyType(
    {
        "azure": "In Azure the size of the machine decides: resize it to one that is listed for"
        " nested virtualization, such as version 3 and later of the D and E series.",
        "kvm": _KVM,
        "proxmox": "On the Proxmox VE node, switch nested virtualization on (options kvm_intel"
        " nested=1, or kvm_amd, in /etc/modprobe.d) and give this machine the node's processor: qm"
        f" set ID --cpu host. {_COLD}",
        "qemu": "QEMU emulates this machine's processor without KVM. Start it with KVM and -cpu"
        " host, on a host that supports nesting.",
        "microsoft": "On the Hyper-V host, with this machine switched off: Set-VMProcessor -VMName"
        " NAME -ExposeVirtualizationExtensions $true",
        "wsl": "In Windows, write nestedVirtualization=true below [wsl2] in"
        " %UserProfile%\\.wslconfig (Windows 11), and kernelCommandLine= there for parameters of"
        " KVM; then: wsl --shutdown",
        "vmware": 'With this machine switched off, write vhv.enable = "TRUE" to its .vmx file, or'
        " tick Virtualize Intel VT-x/EPT or AMD-V/RVI (ESXi: Expose hardware assisted"
        " virtualization).",
        "oracle": "With this machine switched off: VBoxManage modifyvm NAME --nested-hw-virt on",
        "xen": "On the Xen host, write nestedhvm=1 to this machine's configuration (xl.cfg, an HVM"
        f" guest). {_COLD}",
        "parallels": "With this machine switched off: prlctl set NAME --nested-virt on",
        "amazon": "Amazon EC2 has it on metal instances, and on the newer instance types that are"
        " listed for nested virtualization, where it is a CPU option at launch.",
        "google": "gcloud compute instances update NAME --advanced-machine-features"
        " enableNestedVirtualization=true (not on E2 and AMD types), or"
        " --enable-nested-virtualization when you create the machine.",
    }
)
_UNKNOWN = (
    "On the machine below, enable nested virtualization and give this virtual machine the host's"
    f" processor (libvirt: <cpu mode='host-passthrough'/>). {_COLD}"
)


def how_to_expose(hypervisor: str) -> str:
    """The hint for a hypervisor, by its name in systemd-detect-virt(1)."""
    return _HINTS.get(hypervisor, _UNKNOWN)

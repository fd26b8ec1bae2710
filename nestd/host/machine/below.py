# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hypervisor below this host, where it is a virtual machine, from what its firmware says."""

from __future__ import annotations

from nestd.host.files import read_regular
from nestd.host.root import Root

AZURE, PROXMOX = "azure", "proxmox"
_DMI = "/sys/class/dmi/id"
_CLOCKS = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
# Azure's chassis, the same in all its machines (cloud-init knows Azure by it).
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
# Beginnings of the firmware's fields and the names that systemd-detect-virt(1) has for them.
_NAMES = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Apple Virtualization", "apple"),
)


def by_firmware(root: Root) -> str:
    """The hypervisor, as systemd-detect-virt(1) names it; "" where the firmware names none."""
    fields = [_field(root, name) for name in ("product_name", "sys_vendor", "bios_vendor")]
    for field in fields:
        for start, name in _NAMES:
            if field.startswith(start):
                return name
    product, vendor, _ = fields
    if vendor == "Microsoft Corporation" and product == "Virtual Machine":
        return "microsoft"
    if vendor == "QEMU":
        return "kvm" if "kvm-clock" in _text(root, _CLOCKS) else "qemu"
    return ""


def hypervisor(root: Root, virtualization: str) -> str:
    """VIRTUALIZATION, or what is known of it more exactly: AZURE or PROXMOX."""
    if virtualization == "microsoft" and _field(root, "chassis_asset_tag") == _AZURE_TAG:
        return AZURE
    if virtualization in ("kvm", "qemu"):
        # QEMU's own build of SeaBIOS is that of no distribution but Proxmox VE.
        vendor, version = _field(root, "bios_vendor"), _field(root, "bios_version")
        if "Proxmox" in vendor or version.endswith("-prebuilt.qemu.org"):
            return PROXMOX
    return virtualization


def _field(root: Root, name: str) -> str:
    return _text(root, f"{_DMI}/{name}").strip()


def _text(root: Root, path: str) -> str:
    try:
        return (read_regular(root.at(path)) or b"").decode("utf-8", "replace")
    except OSError:
        return ""

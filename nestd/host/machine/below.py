# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hypervisor below this host if it is a virtual machine, from firmware data."""

from __future__ import annotations

from nestd.host.files import read_regular
from nestd.host.root import Root

AZURE, PROXMOX = "azure", "proxmox"
_DMI = "/sys/class/dmi/id"
_CLOCKS = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
# Azure's chassis asset tag, the same in all its machines (cloud-init uses it too).
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
# Prefixes of firmware fields, and systemd-detect-virt(1)'s names for them.
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
    """The hypervisor as named by systemd-detect-virt(1); "" if the firmware shows none."""
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
    """VIRTUALIZATION, or the more specific AZURE or PROXMOX if known."""
    if virtualization == "microsoft" and _field(root, "chassis_asset_tag") == _AZURE_TAG:
        return AZURE
    if virtualization in ("kvm", "qemu"):
        # Only Proxmox VE ships QEMU's own build of SeaBIOS.
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

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts for Manager.Validate: initramfs, /dev/kvm, host virtualization, VirtualBox, libvirt."""

from __future__ import annotations

from collections.abc import Mapping

from validated_host import Host, intel, noted

from nestd.host.kernel.kvm_device import KvmDevice
from nestd.host.machine.initramfs import Initramfs

HOSTS_BY_SURROUNDINGS: Mapping[str, Host] = {
    "a copy in the initramfs": intel(
        {"initramfs": ("warn", "/boot/initramfs-5.img holds a copy", "dracut -f")},
        {},
        initramfs=Initramfs("/boot/initramfs-5.img", True),
    ),
    "a group of the device without a name": intel(
        {"device": ("note", "no name here", "root:104")},
        {},
        device=KvmDevice(True, True, 0o660, "root", "104"),
    ),
    "another group of the device": intel(
        {"device": ("warn", "neither", "root:users")},
        {},
        device=KvmDevice(True, True, 0o660, "root", "users"),
    ),
    "an automount that was not looked into": intel(
        {"initramfs": ("note", "holds no copy", "Not examined: /efi", "automount")},
        {},
        initramfs=Initramfs("/boot/initramfs-5.img", False, ("/efi",)),
    ),
    "an initramfs that nothing can list": intel(
        {"initramfs": ("note", "not known")},
        {},
        initramfs=Initramfs("/boot/initramfs-5.img", None),
    ),
    "no /dev/kvm": intel({"device": ("fail", "there is no /dev/kvm")}, {"/dev/kvm": None}),
    "a file in the place of /dev/kvm": intel(
        {"device": ("fail", "10:232")}, {}, device=KvmDevice(True, False, 0o644, "root", "root")
    ),
    "/dev/kvm for root only": intel(
        {"device": ("warn", "root:root, mode 0600", "udevadm trigger")},
        {},
        device=KvmDevice(True, True, 0o600, "root", "root"),
    ),
    "/dev/kvm for its group": intel(
        {"device": ("pass", "group kvm")}, {}, device=KvmDevice(True, True, 0o660, "root", "kvm")
    ),
    "a guest of KVM": intel(
        {"host-virtualization": ("warn", "on KVM", "L3", "do not work properly")},
        {},
        virtualization="kvm",
    ),
    "a guest of VMware": intel(
        {"host-virtualization": ("warn", "on VMware", "not supported", "L3")},
        {},
        virtualization="vmware",
    ),
    "a cloud's machine": intel(
        {"host-virtualization": ("warn", "Amazon EC2", "not supported")},
        {},
        virtualization="amazon",
    ),
    "a container": intel(
        {"host-virtualization": ("note", "container (podman)")}, {}, virtualization="podman"
    ),
    "VirtualBox beside KVM": intel(
        {"virtualbox": ("warn", "VERR_VMX_IN_VMX_ROOT_MODE", "enable_virt_at_load=0")},
        {"/usr/lib/virtualbox/VBoxManage": ""},
    ),
    "VirtualBox, and KVM gives way": intel(
        {"virtualbox": ("note", "VERR_SVM_HOST_SVME_NOT_ENABLED", "enable_virt_at_load=1")},
        {
            "/etc/vbox/vbox.cfg": "INSTALL_DIR=/opt/VirtualBox\n",
            "/sys/module/kvm/parameters/enable_virt_at_load": "N\n",
        },
    ),
    "Debian": intel(
        {"host-system": ("note", "Debian GNU/Linux 12", "RHEL 8.2")},
        {"/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'},
    ),
    "RHEL 8.1": intel(
        {"host-system": ("note", "RHEL 8.1", "8.2")},
        {"/etc/os-release": 'ID="rhel"\nVERSION_ID="8.1"\n'},
    ),
    "libvirt knows": Host("amd", {"libvirt": ("pass", "is on")}, options={"libvirt": noted()}),
    "libvirt has not looked since": Host(
        "amd",
        {"libvirt": ("note", "was off; now it is on", "no restart", "virsh domcapabilities")},
        options={"libvirt": noted(nesting=False)},
    ),
    "libvirt found no KVM": Host(
        "amd", {"libvirt": ("note", "found no KVM")}, options={"libvirt": noted(kvm=False)}
    ),
    "QEMU offers no svm": Host(
        "amd", {"libvirt": ("warn", "offers no svm")}, options={"libvirt": noted(cpu=frozenset())}
    ),
}

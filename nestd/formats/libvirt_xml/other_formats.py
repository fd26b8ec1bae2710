# SPDX-License-Identifier: LGPL-2.1-or-later
"""Recognizes formats other than domain XML, and says how to get domain XML or an answer."""

from __future__ import annotations

import re

_RUNNING = "Once it runs, nestctl guests shows whether it has what a hypervisor needs."
_KNOWN = (
    (
        re.compile(r"^apiVersion:\s*[\"']?kubevirt\.io/", re.MULTILINE),
        "This is a manifest of KubeVirt, not domain XML. The domain XML of its running machine is"
        " printed in the launcher pod: kubectl exec POD -c compute -- virsh dumpxml 1",
    ),
    (
        re.compile(r"^[ \t]*apiVersion:[ \t]*\S+[ \t]*$", re.MULTILINE),
        "This is a manifest of Kubernetes, not domain XML.",
    ),
    (
        re.compile(r"^(?:scsihw|ostype|bootdisk|vmgenid|(?:scsi|virtio|net)\d+):\s", re.MULTILINE),
        "This is a configuration of Proxmox VE, not domain XML: Proxmox does not use libvirt. Its"
        f" guests nest with: qm set ID --cpu host. {_RUNNING}",
    ),
    (
        re.compile(r"^(?:guest_os|disk_img)=", re.MULTILINE),
        "This is a configuration of quickemu, not domain XML: quickemu starts QEMU itself, with"
        f" -cpu host. {_RUNNING}",
    ),
    (
        re.compile(r"^(?:virtualHW\.version|\.encoding)\s*=", re.MULTILINE),
        "This is a configuration of VMware, not domain XML. libvirt converts it: virsh -c"
        " vmx:/// domxml-from-native vmware-vmx FILE",
    ),
    (
        re.compile(r"^[ \t]*Vagrant\.configure", re.MULTILINE),
        "This is a Vagrantfile, not domain XML. The domain XML of its machine: virsh list --all,"
        " then virsh dumpxml NAME",
    ),
    (
        re.compile(r"\A\s*[{\[]"),
        "This is JSON, not domain XML.",
    ),
    (
        re.compile(r"\A\S*(?:qemu-system-\w+|qemu-kvm|kvm)\s+-"),
        f"This is a command line of QEMU, not domain XML. {_RUNNING}",
    ),
)


def recognize(text: str) -> str:
    """What TEXT is, in one or two sentences; "" if it may be XML or is not recognized."""
    if not text.strip():
        return "The text is empty."
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return ""
    return next((sentence for pattern, sentence in _KNOWN if pattern.search(text)), "")

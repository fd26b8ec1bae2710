# SPDX-License-Identifier: LGPL-2.1-or-later
"""What libvirt has noted of a QEMU: a file of its capabilities cache (qemu_capabilities.c).

It is the ground that `virsh domcapabilities` stands on. Asking for that takes a connection that
may write, and makes libvirt run QEMU where it has not done so yet; the file is just there.
"""

from __future__ import annotations

from dataclasses import dataclass

from nestd.formats.libvirt_xml import safe_xml

ROOT = "qemuCaps"
MOST_ELEMENTS = 50_000  # libvirt's own file, which lists each model and feature of a processor


@dataclass(frozen=True)
class QemuCapabilities:
    """A QEMU as libvirt found it."""

    emulator: str
    arch: str
    kvm: bool  # KVM could be used
    nesting: bool  # the host's "nested" parameter was on (libvirt 5.0 and later)
    cpu: frozenset[str]  # what the processor that QEMU gives to KVM guests has: "svm", "npt" ...


def parse(text: str) -> QemuCapabilities:
    """Read such a file. Raises safe_xml.XmlError."""
    root = safe_xml.parse(text, ROOT, MOST_ELEMENTS)
    flags = {each.get("name", "") for each in root.iterfind("flag")}
    properties = root.iterfind("hostCPU[@type='kvm']/property[@value='true']")
    return QemuCapabilities(
        emulator=(root.findtext("emulator") or "").strip(),
        arch=(root.findtext("arch") or "").strip(),
        kvm="kvm" in flags,
        nesting=root.find("kvmSupportsNesting") is not None,
        cpu=frozenset(each.get("name", "") for each in properties),
    )

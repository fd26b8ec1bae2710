# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file of libvirt's capabilities cache, which describes one QEMU binary (qemu_capabilities.c).

`virsh domcapabilities` is built from it. That command needs a connection with write access and
makes libvirt start QEMU if it has not done so yet; reading the file has no side effect.
"""

from __future__ import annotations

from dataclasses import dataclass

from nestd.formats.libvirt_xml import safe_xml

ROOT = "qemuCaps"
MOST_ELEMENTS = 50_000  # the file lists every CPU model and feature


@dataclass(frozen=True)
class QemuCapabilities:
    """A QEMU binary as probed by libvirt."""

    emulator: str
    arch: str
    kvm: bool  # KVM could be used
    nesting: bool  # the host's "nested" parameter was on (libvirt 5.0 and later)
    cpu: frozenset[str]  # features of QEMU's CPU for KVM guests: "svm", "npt" ...


def parse(text: str) -> QemuCapabilities:
    """Parse such a file. Raises safe_xml.XmlError."""
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

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of a libvirt domain's XML that decide whether the guest can run guests of its own.

Values are taken literally, "" if missing; core.checks interprets them
(https://libvirt.org/formatdomain.html).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, tostring

from nestd.formats.libvirt_xml import safe_xml

ROOT = "domain"
_COMMENT = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)
_TAG = re.compile(r"""<domain(?:\s+[\w:.-]+\s*=\s*(?:'[^'<]*'|"[^"<]*"))*\s*>""")
MOST_ELEMENTS = 5_000  # any user may send a document; a large domain has some 2,000 elements

_LIBOSINFO = "{http://libosinfo.org/xmlns/libvirt/domain/1.0}"
_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"


@dataclass(frozen=True)
class CpuFeature:
    """A <feature> of <cpu>; without a policy libvirt treats it as required."""

    name: str
    policy: str


@dataclass(frozen=True)
class Cpu:
    """The <cpu> element; without a mode libvirt treats it as custom."""

    mode: str = ""
    match: str = ""
    check: str = ""  # "none", "partial" or "full": how far libvirt compared it with QEMU's CPU
    model: str = ""
    vendor: str = ""  # "Intel", "AMD" ...: libvirt compares it with the host's processor
    empty: bool = True  # has no child element at all
    features: tuple[CpuFeature, ...] = ()
    rest: tuple[str, ...] = ()  # the other elements (topology, numa, cache ...), each as XML

    def policies(self, *names: str) -> tuple[str, ...]:
        """The policies of the features named in NAMES, in order."""
        return tuple(each.policy for each in self.features if each.name in names)


@dataclass(frozen=True)
class Domain:
    """A guest as described by its XML; cpu is None without a <cpu> element."""

    type: str
    name: str = ""
    running: bool = False  # the XML is that of the running guest, not the one of its next start
    os_type: str = ""
    arch: str = ""
    machine: str = ""
    cpu: Cpu | None = None
    has_features: bool = False  # the <features> of the guest, not the processor's
    nested_hv: str = ""  # "on" or "off"
    kvm_hidden: str = ""  # "on" or "off"
    hyperv: bool = False  # the guest sees Hyper-V, and may use its services
    hugepages: bool = False
    launch_security: str = ""  # "sev", "sev-snp", "tdx" or "s390-pv"
    os_id: str = ""  # libosinfo's identifier: http://redhat.com/rhel/9.4
    qemu_arguments: tuple[str, ...] = ()  # passed to QEMU unchecked by libvirt
    tag: str = ""  # the <domain ...> tag as written, with its namespaces


def parse(text: str) -> Domain:
    """The guest that TEXT describes. Raises safe_xml.XmlError."""
    domain = from_element(safe_xml.parse(text, ROOT, MOST_ELEMENTS))
    tag = _TAG.search(_COMMENT.sub("", text))
    return replace(domain, tag=tag.group(0) if tag else "")


def from_element(root: Element) -> Domain:
    """The guest of a <domain> element."""
    features = root.find("features")
    return Domain(
        type=root.get("type", ""),
        name=_text(root, "name"),
        running="id" in root.attrib,
        os_type=_text(root, "os/type"),
        arch=_attribute(root, "os/type", "arch"),
        machine=_attribute(root, "os/type", "machine"),
        cpu=_cpu(root.find("cpu")),
        has_features=features is not None,
        nested_hv=_attribute(root, "features/nested-hv", "state"),
        kvm_hidden=_attribute(root, "features/kvm/hidden", "state"),
        hyperv=root.find("features/hyperv") is not None,
        hugepages=root.find("memoryBacking/hugepages") is not None,
        launch_security=_attribute(root, "launchSecurity", "type"),
        os_id=_attribute(root, f"metadata/{_LIBOSINFO}libosinfo/{_LIBOSINFO}os", "id"),
        qemu_arguments=tuple(
            each.get("value", "") for each in root.iterfind(f"{_QEMU}commandline/{_QEMU}arg")
        ),
    )


def _cpu(element: Element | None) -> Cpu | None:
    if element is None:
        return None
    return Cpu(
        mode=element.get("mode", ""),
        match=element.get("match", ""),
        check=element.get("check", ""),
        model=_text(element, "model"),
        vendor=_text(element, "vendor"),
        empty=len(element) == 0,
        features=tuple(
            CpuFeature(each.get("name", ""), each.get("policy", "require"))
            for each in element.iterfind("feature")
        ),
        rest=tuple(
            tostring(each, encoding="unicode").strip()
            for each in element
            if each.tag not in ("model", "vendor", "feature")
        ),
    )


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _attribute(element: Element, path: str, name: str) -> str:
    found = element.find(path)
    return "" if found is None else found.get(name, "")

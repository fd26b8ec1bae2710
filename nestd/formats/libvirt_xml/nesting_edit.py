# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exposes or withholds the CPU feature that a hypervisor needs in a guest's libvirt XML.

One line changes, all other bytes stay. libvirt's own defaults are described in
nestd/core/checks/guest (x86, s390, power).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from nestd.formats.libvirt_xml import domain_xml
from nestd.formats.libvirt_xml.domain_xml import Cpu, Domain
from nestd.formats.libvirt_xml.element_places import Place, find_places
from nestd.formats.vmm_arguments import read_qemu

NESTED_HV = "nested-hv"
FEATURES: Mapping[str, str] = MappingProxyType(
    {"intel": "vmx", "amd": "svm", "power": NESTED_HV, "s390": "sief2"}
)
"""The feature that a guest needs, by the host's vendor."""
_ARCHITECTURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "vmx": ("x86_64", "i686"),
        "svm": ("x86_64", "i686"),
        "sief2": ("s390x",),
        NESTED_HV: ("ppc64le", "ppc64"),
    }
)
_WHOLE = ("host-passthrough", "maximum")
_WITHHELD = ("disable", "forbid")
_GIVEN = ("require", "force", "optional")
_POLICY = re.compile(rb"""(\spolicy\s*=\s*)(?:'[^']*'|"[^"]*")""")
_STATE = re.compile(rb"""(\sstate\s*=\s*)(?:'[^']*'|"[^"]*")""")


class NotChangeable(ValueError):
    """The XML cannot express it; the message continues a sentence after the guest's name."""


class NotConcerned(NotChangeable):
    """The guest is of a kind that cannot have the feature."""


def changed(text: str, feature: str, *, give: bool) -> str:
    """TEXT with FEATURE given or withheld from the next start on; TEXT itself if it already is.

    Raises NotChangeable, and safe_xml.XmlError if TEXT is not a domain.
    """
    domain = domain_xml.parse(text)
    if domain.type == "qemu":
        raise NotConcerned("is emulated without KVM")
    if domain.arch not in _ARCHITECTURES[feature]:
        raise NotConcerned(f"is of another architecture ({domain.arch})")
    data = text.encode()
    if feature == NESTED_HV:
        return _with_capability(data, domain, give).decode()
    return _with_feature(data, domain, feature, give).decode()


def requires(domain: Domain, feature: str) -> bool:
    """Whether libvirt starts or restores the guest only if the host can provide FEATURE."""
    if feature == NESTED_HV:
        return domain.nested_hv == "on"
    policies = domain.cpu.policies(feature) if domain.cpu is not None else ()
    return policies[-1:] == ("require",)


def _with_capability(data: bytes, domain: Domain, give: bool) -> bytes:
    if (domain.nested_hv == "on") == give:
        return data
    state = b"on" if give else b"off"
    places = find_places(data)
    existing = places.first("domain", "features", NESTED_HV)
    if existing is not None:
        return existing.replaced(data, _with_value(_STATE, existing.tag(data), b"state", state))
    line = b"<nested-hv state='%s'/>" % state
    features = places.first("domain", "features")
    if features is not None:
        return features.with_child(data, line)
    system = places.first("domain", "os")
    if system is None:
        raise NotChangeable("has no <os> in its definition")
    indent = system.indent(data)
    whole = b"<features>\n%s  %s\n%s</features>" % (indent, line, indent)
    return data[: system.end] + b"\n" + indent + whole + data[system.end :]


def _with_feature(data: bytes, domain: Domain, feature: str, give: bool) -> bytes:
    if read_qemu(domain.qemu_arguments).cpus:
        raise NotChangeable("has a -cpu in <qemu:commandline>, which decides: change it there")
    cpu = domain.cpu
    if cpu is None:
        raise NotChangeable("has no <cpu> in its definition to say it in")
    if cpu.mode in ("", "custom") and not cpu.model:
        raise NotChangeable("names no processor model, and libvirt takes features only with one")
    policies = cpu.policies(feature)
    if len(policies) > 1:
        raise NotChangeable(f"names {feature} more than once")
    policy = policies[0] if policies else ""
    if policy in (_GIVEN if give else _WITHHELD):
        return data
    places = find_places(data)
    if give and _has_by_itself(cpu, feature):
        line = _feature_line(data, places.all("domain", "cpu", "feature"), feature)
        return data if line is None else line.removed(data)
    wanted = b"require" if give else b"disable"
    line = _feature_line(data, places.all("domain", "cpu", "feature"), feature)
    if line is not None:
        return line.replaced(data, _with_value(_POLICY, line.tag(data), b"policy", wanted))
    new = b"<feature policy='%s' name='%s'/>" % (wanted, feature.encode())
    others = places.all("domain", "cpu", "feature")
    if others:
        last = others[-1]
        return data[: last.end] + b"\n" + last.indent(data) + new + data[last.end :]
    place = places.first("domain", "cpu")
    assert place is not None
    return place.with_child(data, new)


def _has_by_itself(cpu: Cpu, feature: str) -> bool:
    """Whether the guest gets FEATURE by default if the host's nesting is on."""
    return cpu.mode in _WHOLE or (cpu.mode == "host-model" and feature in ("vmx", "sief2"))


def _feature_line(data: bytes, lines: tuple[Place, ...], feature: str) -> Place | None:
    name = re.compile(rb"""\sname\s*=\s*['"]%s['"]""" % re.escape(feature.encode()))
    return next((each for each in lines if name.search(each.tag(data))), None)


def _with_value(pattern: re.Pattern[bytes], tag: bytes, name: bytes, value: bytes) -> bytes:
    """The tag with the attribute NAME set to VALUE; it is added if missing (libvirt's default)."""
    if pattern.search(tag):
        return pattern.sub(rb"\g<1>'%s'" % value, tag, count=1)
    return re.sub(rb"^(<[^\s/>]+)", rb"\g<1> %s='%s'" % (name, value), tag)

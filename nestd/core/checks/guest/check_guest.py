# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a guest can run guests of its own on this host: all checks of a guest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from nestd.core.checks.finding import Finding, Verdict
from nestd.core.checks.guest import arm, host, machine, power, s390, systems, x86
from nestd.core.checks.guest.guest import Guest
from nestd.core.checks.situation import Situation
from nestd.core.errors import InvalidArgument
from nestd.formats.libvirt_xml import domain_xml
from nestd.formats.libvirt_xml.documents import split_domains
from nestd.formats.libvirt_xml.domain_xml import Domain
from nestd.formats.libvirt_xml.other_formats import recognize
from nestd.formats.libvirt_xml.safe_xml import XmlError

CHECKS: tuple[Callable[[Guest], Finding | None], ...] = (
    host.host,
    host.level,
    machine.domain_type,
    machine.os_type,
    machine.architecture,
    machine.machine_type,
    x86.cpu,
    x86.hypervisor,
    x86.kvm_hidden,
    x86.paging,
    power.nested_hv,
    power.compatibility,
    s390.cpu,
    arm.virtualization,
    s390.huge_pages,
    machine.launch_security,
    machine.qemu_arguments,
    systems.restart,
    host.migration,
    host.xive,
    host.power_preview,
    power.in_the_guest,
    systems.first_level,
    systems.second_level,
    host.hypervisors,
)

_NEEDED = "Give a guest's domain XML, as virsh dumpxml prints it."


@dataclass(frozen=True)
class GuestReport:
    """The findings about a guest; ready if no check failed."""

    ready: bool
    findings: tuple[Finding, ...]


def check_guest(domain: Domain, situation: Situation) -> GuestReport:
    """The findings of all checks that apply to this guest."""
    guest = Guest(domain, situation)
    found = [finding for check in CHECKS if (finding := check(guest)) is not None]
    ready = all(finding.verdict is not Verdict.FAIL for finding in found)
    return GuestReport(ready, tuple(found))


def read_domain(text: str) -> Domain:
    """Parse a libvirt domain XML. Raises InvalidArgument for other text."""
    several = len(split_domains(text))
    wrong = recognize(text)
    if several > 1:
        wrong = f"The text has the XML of {several} guests: check each by itself."
    if wrong:
        raise InvalidArgument(f"{wrong} {_NEEDED}")
    try:
        return domain_xml.parse(text)
    except XmlError as error:
        raise InvalidArgument(f"{error} {_NEEDED}") from error

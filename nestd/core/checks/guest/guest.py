# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest intended as hypervisor (L1), on the host intended to run it (L0)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nestd.core.checks.situation import Situation
from nestd.core.model import Vendor
from nestd.formats.libvirt_xml.domain_xml import Domain

# The processor feature that an x86 guest needs to run a hypervisor.
FEATURES: Mapping[Vendor, str] = MappingProxyType({Vendor.INTEL: "vmx", Vendor.AMD: "svm"})
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Guest:
    """The input of the guest checks."""

    domain: Domain
    situation: Situation

    @property
    def arch(self) -> str:
        """The guest's architecture; libvirt uses the host's if the XML names none."""
        return self.domain.arch or self.situation.facts.machine

    @property
    def edit(self) -> str:
        """The command that edits its XML."""
        name = self.domain.name
        fits = name.isprintable() and 0 < len(name) <= _LONGEST_NAME
        return f"virsh edit {shlex.quote(name) if fits else 'NAME'}"


def add_to_domain(guest: Guest, xml: str) -> str:
    """The hint to add XML to the <domain> element."""
    return f"With {guest.edit}, add this inside <domain>:\n{xml}"


def add_to(guest: Guest, element: str, xml: str) -> str:
    """The hint to add XML to an existing ELEMENT."""
    return f"With {guest.edit}, add this inside <{element}>:\n{xml}"


def replace(guest: Guest, what: str, xml: str) -> str:
    """The hint to replace WHAT, an XML fragment or its description, with XML."""
    return f"With {guest.edit}, replace {what} by this:\n{xml}"

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Through what KVM runs on a host, be it a module that nestd does not know."""

from __future__ import annotations

from nestd.core.modules.facts import HostFacts
from nestd.core.modules.vendors import nested_holders
from nestd.host.kernel.sysfs import Availability

BUILT_IN = "builtin"


def backend(facts: HostFacts) -> str:
    """The vendor's module that is loaded, else another one's name, BUILT_IN, or "" for no KVM."""
    holders = nested_holders(facts.machine)
    for name in holders:
        if facts.modules[name].loaded:
            return name
    if facts.other_providers:
        return facts.other_providers[0]
    core = facts.modules.get("kvm")
    if core is not None and core.availability is Availability.LOADABLE:
        return ""  # a /dev/kvm without a module is a static node
    return BUILT_IN if facts.has_device else ""

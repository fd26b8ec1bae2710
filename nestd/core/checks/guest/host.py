# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's requirements for any guest that nests."""

from __future__ import annotations

from dataclasses import replace

from nestd.core.checks.finding import Finding, Verdict, fail, passed
from nestd.core.checks.guest.guest import Guest
from nestd.core.checks.host import arm, module, nested, processor, support
from nestd.core.checks.host.host_virtualization import host_virtualization
from nestd.core.model import Answer

_ID = "host"
_CHECKS = (
    *(processor.architecture, processor.cpu, arm.kvm, arm.kernel, arm.cpu),
    *(module.module, nested.nested, arm.nested),
)


def host(guest: Guest) -> Finding:
    """The first obstacle on the host."""
    for check in _CHECKS:
        found = check(guest.situation)
        if found is not None and found.verdict is Verdict.FAIL:
            return replace(found, id=_ID)
    if guest.situation.nested is not Answer.YES:
        return fail(
            _ID,
            "Whether this host has nested virtualization switched on is not known.",
            "See what is known of the host: nestctl validate",
        )
    return passed(_ID, "This host has nested virtualization switched on.")


def level(guest: Guest) -> Finding | None:
    """Guide, 16 and 17: the host is itself a guest."""
    found = host_virtualization(guest.situation)
    return None if found.verdict is Verdict.PASS else found


def migration(guest: Guest) -> Finding | None:
    """Guide, 18: migration on AMD."""
    found = support.amd_migration(guest.situation)
    return None if found is None or found.verdict is Verdict.PASS else found


def power_preview(guest: Guest) -> Finding | None:
    """Guide, 10: nesting on POWER is a technology preview."""
    return support.power_preview(guest.situation)


def xive(guest: Guest) -> Finding | None:
    """Guide, 20: XIVE on POWER."""
    return support.power_xive(guest.situation)


def hypervisors(guest: Guest) -> Finding | None:
    """Guide, 15: combinations of hypervisors."""
    return support.hypervisors(guest.situation)

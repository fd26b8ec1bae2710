# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guide, 9, 13 and 14: supported operating systems, and the steps after the XML."""

from __future__ import annotations

import re

from nestd.core.checks.finding import Finding, note
from nestd.core.checks.guest.guest import Guest
from nestd.core.model import Vendor

_RHEL = re.compile(r"https?://redhat\.com/rhel/(\d+)\.(\d+)")
_FIRST = {7: 8, 8: 2}  # first supported minor release of each major one, as L1


def restart(guest: Guest) -> Finding:
    """When a change to the XML or the host takes effect in the guest."""
    always = (
        "A guest keeps the processor that it was started with: after a change here or on the host"
        " it has to be shut down and started; a reboot inside it is not enough."
    )
    if not guest.domain.running:
        return note("restart", always)
    return note(
        "restart",
        f"This is the XML of a running guest. {always}",
        "To check its next start, give the output of: virsh dumpxml --inactive NAME",
    )


def first_level(guest: Guest) -> Finding | None:
    """The operating systems supported in the guest itself (L1)."""
    vendor = guest.situation.vendor
    if vendor is Vendor.NONE:
        return None
    if vendor is Vendor.POWER:
        known = "RHEL 8"
    else:
        known = (
            "RHEL 7.8 and later or RHEL 8.2 and later, not as part of Red Hat Virtualization,"
            " OpenStack Platform or OpenShift Virtualization; Windows for WSL 2"
        )
    return note(
        "guest-system",
        f"Operating systems that Red Hat's guide names for a guest that is a hypervisor (L1):"
        f" {known}.{_this_one(guest)}",
    )


def second_level(guest: Guest) -> Finding | None:
    """The operating systems supported in the guest's guests (L2), and how to create them."""
    vendor = guest.situation.vendor
    if vendor is Vendor.NONE:
        return None
    if vendor is Vendor.POWER:
        known = "RHEL 8, or RHEL 7 with the rhel-alt kernel"
    else:
        known = "RHEL 7.8 and later, RHEL 8.2 and later, Windows Server 2016 and 2019"
    return note(
        "nested-guests",
        f"Operating systems that the guide names for guests inside the guest (L2): {known}.",
        "Create them inside the guest as on any host, for example with virt-install; the guide"
        " does so with RHEL 8 as L1.",
    )


def _this_one(guest: Guest) -> str:
    """A sentence about the guest's operating system, from the XML's metadata."""
    found = _RHEL.fullmatch(guest.domain.os_id)
    if found is None:
        return ""
    major, minor = int(found.group(1)), int(found.group(2))
    if guest.situation.vendor is Vendor.POWER:
        meant = major == 8
    else:
        meant = minor >= _FIRST.get(major, 0) and major >= min(_FIRST)
    among = "is among them" if meant else "is not among them"
    later = " (later than the guide)" if major > max(_FIRST) else ""
    return f" This one, RHEL {major}.{minor}{later}, {among}."

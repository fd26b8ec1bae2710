# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guide, 7, 10 and 14: guests on POWER."""

from __future__ import annotations

import re

from nestd.core.checks.finding import Finding, fail, note, passed
from nestd.core.checks.guest.guest import Guest, add_to, add_to_domain, replace
from nestd.core.checks.guest.machine import runs_here
from nestd.core.checks.host.processor import FIRST_POWER
from nestd.core.model import Vendor
from nestd.formats.printable import quoted

_NESTED_HV = "<nested-hv state='on'/>"
_MODEL = "<model fallback='forbid'>power9</model>"


def nested_hv(guest: Guest) -> Finding | None:
    """The capability cap-nested-hv of the machine pseries (libvirt 4.10 and later)."""
    if not _concerned(guest):
        return None
    domain = guest.domain
    if domain.nested_hv == "on":
        return passed("nested-hv", "The guest's machine has the capability nested-hv.")
    if domain.nested_hv:
        return fail(
            "nested-hv",
            f"The guest's machine has nested-hv {quoted(domain.nested_hv)}: it cannot run virtual"
            " machines.",
            replace(guest, "<nested-hv> in <features>", _NESTED_HV),
        )
    return fail(
        "nested-hv",
        "The guest's machine lacks the capability nested-hv: it cannot run virtual machines.",
        add_to(guest, "features", _NESTED_HV)
        if domain.has_features
        else add_to_domain(guest, f"<features>\n  {_NESTED_HV}\n</features>"),
    )


def compatibility(guest: Guest) -> Finding | None:
    """Whether the processor is in the compatibility mode of an older one (max-cpu-compat)."""
    given = guest.domain.cpu
    if not _concerned(guest) or given is None or not given.model:
        return None
    found = re.match(r"power(\d+)", given.model, re.IGNORECASE)
    if found is None or int(found.group(1)) >= FIRST_POWER:
        return None
    return fail(
        "power-compatibility",
        f"The guest runs in {quoted(given.model)} compatibility mode, in which nothing can nest.",
        replace(guest, "<model> in <cpu>", _MODEL),
    )


def in_the_guest(guest: Guest) -> Finding | None:
    """Guide, 7 and 14: the steps inside the guest."""
    if not _concerned(guest):
        return None
    return note(
        "power-nested-guests",
        "Give the guests inside this guest nested-hv too, which makes them faster, and run none"
        " of them in POWER8 compatibility mode.",
        f"In their XML, inside <features>:\n{_NESTED_HV}",
    )


def _concerned(guest: Guest) -> bool:
    return guest.situation.vendor is Vendor.POWER and runs_here(guest)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests on IBM Z: the facility sie (QEMU's feature sief2), and huge pages.

host-model is QEMU's expansion of the host's model, which has sief2 if KVM offers it; this is
untested on real hardware, hence the warning. QEMU's named models do not have it.
"""

from __future__ import annotations

from nestd.core.checks.finding import Finding, Verdict, fail, passed, warn
from nestd.core.checks.guest.guest import Guest, add_to, add_to_domain, replace
from nestd.core.checks.guest.machine import runs_here
from nestd.core.checks.guest.x86 import PASSTHROUGH
from nestd.core.checks.host.support import s390_huge_pages
from nestd.core.model import Vendor
from nestd.formats.printable import quoted

_FEATURE = "sief2"
_REQUIRE = f"<feature policy='require' name='{_FEATURE}'/>"
_WITHHELD = ("disable", "forbid")
_MODES = ("", "custom", "host-model", "host-passthrough", "maximum")


def cpu(guest: Guest) -> Finding | None:
    """Whether the guest's processor has sie."""
    if not _concerned(guest):
        return None
    given = guest.domain.cpu
    if given is None:
        return _like_host(add_to_domain(guest, PASSTHROUGH))
    policies = set(given.policies(_FEATURE))
    if given.mode not in _MODES:
        return fail(
            "cpu",
            f"libvirt knows no CPU mode {quoted(given.mode)}.",
            replace(guest, "<cpu>", PASSTHROUGH),
        )
    if policies & set(_WITHHELD):
        return fail(
            "cpu",
            f"The guest is denied {_FEATURE}, without which it has no sie.",
            replace(guest, f"the line with name='{_FEATURE}' in <cpu>", _REQUIRE),
        )
    if policies:
        return passed("cpu", f"The guest asks for {_FEATURE}, with which it has sie.")
    if given.mode in ("host-passthrough", "maximum"):
        return passed("cpu", f"The guest gets the host's processor with sie ({given.mode}).")
    if given.mode == "host-model" or not given.model:
        whole = replace(guest, "<cpu>", PASSTHROUGH)
        tag = replace(guest, "the <cpu> tag", "<cpu mode='host-passthrough'>")
        return _like_host(whole if given.empty else tag)
    return fail(
        "cpu",
        f"The guest's processor, {quoted(given.model)}, has no sie: a named model has it only"
        " where the XML asks for it.",
        add_to(guest, "cpu", _REQUIRE),
    )


def huge_pages(guest: Guest) -> Finding | None:
    """Guide, 19: huge pages as guest memory and nesting exclude each other."""
    if not _concerned(guest) or not guest.domain.hugepages:
        return None
    allowed = s390_huge_pages(guest.situation)
    if allowed is not None and allowed.verdict is Verdict.PASS:
        return None
    return fail(
        "huge-pages",
        "The guest's memory is backed by huge pages, which on this kernel exclude nested"
        " virtualization.",
        f"With {guest.edit}, remove <hugepages> from its <memoryBacking>.",
    )


def _like_host(hint: str) -> Finding:
    return warn(
        "cpu",
        "The guest gets a processor like the host's (host-model), which should have sie; only"
        " host-passthrough guarantees it.",
        hint,
    )


def _concerned(guest: Guest) -> bool:
    return guest.situation.vendor is Vendor.S390 and runs_here(guest)

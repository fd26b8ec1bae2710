# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limitations and unsupported setups listed in Red Hat's guide (RHEL 8, nested machines)."""

from __future__ import annotations

import re

from nestd.core.checks.finding import Finding, fail, note, passed
from nestd.core.checks.situation import Situation
from nestd.core.model import Answer, Vendor
from nestd.core.modules.wording import place

HPAGE = "hpage"
_KERNEL_SAYS = (
    "kvm-s390: A KVM host that supports nesting cannot back its KVM guests with huge pages"
)
_FIRST_RHEL = (8, 2)


def preview(situation: Situation) -> Finding | None:
    """Guide, 11: nesting in RHEL 8 is a technology preview."""
    if situation.vendor is Vendor.NONE:
        return None
    return note(
        "support",
        "Nested virtualization is a technology preview in RHEL 8, so it is not supported for"
        " production.",
        "Ask your distribution's vendor what is supported in the release that you run.",
    )


def system(situation: Situation) -> Finding:
    """Guide, 13: the host's operating system (L0)."""
    found = situation.surroundings.system
    if found.id != "rhel":
        name = found.pretty_name or found.id or "an unknown system"
        return note(
            "host-system",
            f"This host runs {name}. Red Hat's guide, which these checks follow, covers hosts with"
            " RHEL 8.2 and later.",
        )
    if _version(found.version_id) < _FIRST_RHEL:
        return note(
            "host-system",
            f"This host runs RHEL {found.version_id}: Red Hat's guide covers hosts with RHEL 8.2"
            " and later.",
            "Update the host.",
        )
    return passed("host-system", f"This host runs RHEL {found.version_id} (8.2 or later).")


def hypervisors(situation: Situation) -> Finding | None:
    """Guide, 15: combinations of hypervisors."""
    if situation.vendor is Vendor.NONE:
        return None
    return note(
        "hypervisors",
        "Red Hat's guide covers KVM of RHEL in the guest on KVM of RHEL on the host, and Windows"
        " guests that use Hyper-V for WSL 2; no other combination of hypervisors.",
    )


def power_preview(situation: Situation) -> Finding | None:
    """Guide, 10: nesting on POWER is a technology preview."""
    if situation.vendor is not Vendor.POWER:
        return None
    return note(
        "power-support",
        "On POWER9, nested virtualization is a technology preview, so it is not supported; POWER8"
        " works neither as host nor as the architecture of a nested guest.",
    )


def power_xive(situation: Situation) -> Finding | None:
    """Guide, 20: XIVE on POWER."""
    if situation.vendor is not Vendor.POWER:
        return None
    return note(
        "power-xive",
        "The external interrupt virtualization engine (XIVE) is not available in guests that are"
        " hypervisors: they can give their own guests only an emulated XIVE controller.",
    )


def amd_migration(situation: Situation) -> Finding | None:
    """Guide, 18: migration on AMD."""
    if situation.vendor is not Vendor.AMD:
        return None
    if situation.nested is Answer.YES:
        return note(
            "amd-migration",
            "With nested virtualization on, the virtual machines of this AMD host cannot be"
            " migrated.",
            "If you need migration but not nesting: nestctl nested off.",
        )
    return passed(
        "amd-migration",
        "Nested virtualization is not on, so it does not prevent migration of virtual machines.",
    )


def s390_huge_pages(situation: Situation) -> Finding | None:
    """Guide, 19: huge pages as guest memory and nesting exclude each other."""
    module = situation.module
    if situation.vendor is not Vendor.S390 or module is None:
        return None
    if not situation.facts.module(module.name).may_conflict:
        return passed(
            "huge-pages", "This kernel allows huge pages for guests together with nesting."
        )
    if situation.facts.module(module.name).conflicts:
        at = situation.facts.module(module.name).next_load.effective(HPAGE)
        where = f"{place(at)} sets {HPAGE}" if at else f"{HPAGE} is set"
        return fail(
            "huge-pages",
            f"{where} and nested is set too: the two exclude each other, and kvm will not load"
            f' ("Invalid argument"; the kernel log says "{_KERNEL_SAYS}").',
            f"Choose one: remove {HPAGE}=1, or switch nesting off with: nestctl nested off"
            " --at-boot",
        )
    chosen = (
        "huge pages for guests" if module.parameters.get(HPAGE, "0") != "0" else "no huge pages"
    )
    return note(
        "huge-pages",
        "On this kernel nested virtualization and huge pages as guests' memory exclude each other;"
        f" now there are {chosen}.",
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])

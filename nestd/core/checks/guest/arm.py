# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests on arm64: QEMU's machine property virtualization, which gives a guest EL2.

QEMU supports it with KVM since version 10.1 (hw/arm/virt.c); libvirt 11.3 has no element for it,
hence the QEMU arguments that bypass libvirt.
"""

from __future__ import annotations

from nestd.core.checks.finding import Finding, fail, passed
from nestd.core.checks.guest.guest import Guest, add_to, add_to_domain
from nestd.core.checks.guest.machine import runs_here
from nestd.core.modules.vendors import ARM
from nestd.formats.vmm_arguments import read_qemu

_PROPERTY = "virtualization"
_NAMESPACE = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
_WORDS = "<qemu:arg value='-machine'/>\n<qemu:arg value='virtualization=on'/>"
_ELEMENT = f"<qemu:commandline {_NAMESPACE}>\n{_WORDS}\n</qemu:commandline>"


def virtualization(guest: Guest) -> Finding | None:
    """Whether the guest gets EL2, without which it cannot run KVM."""
    if guest.situation.facts.machine != ARM or not runs_here(guest):
        return None
    said = read_qemu(guest.domain.qemu_arguments).capability(_PROPERTY)
    if said == "on":
        return passed(
            "cpu", "The guest gets what a hypervisor needs: QEMU's virtualization=on (EL2)."
        )
    denied = ": virtualization=off is passed to QEMU" if said else ""
    return fail(
        "cpu",
        f"The guest gets no EL2, without which it can have no KVM{denied}. QEMU 10.1 and later give"
        " it with -machine virtualization=on, for which libvirt has no element.",
        add_to(guest, "qemu:commandline", _WORDS)
        if guest.domain.qemu_arguments
        else add_to_domain(guest, _ELEMENT),
    )

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The settings of nesting and /dev/kvm, and the machines that can run a hypervisor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nestd.core.checks.finding import Finding, Verdict, note, passed, warn
from nestd.core.guests.guest import Guest, Nesting
from nestd.core.model import Answer, Vendor
from nestd.core.modules.vendors import ARM
from nestd.core.posture.standing import Standing
from nestd.formats.modprobe.boot_arguments import advice
from nestd.host.kernel.kvm_device import PATH
from nestd.host.kernel.sysfs import Availability

_MOST_NAMED = 5
# How to withhold from a guest, in its XML, the feature that a hypervisor needs.
_TAKE = {
    Vendor.INTEL: "inside its <cpu> the line <feature policy='disable' name='vmx'/>.",
    Vendor.AMD: "inside its <cpu> the line <feature policy='disable' name='svm'/>.",
    Vendor.S390: "inside its <cpu> the line <feature policy='disable' name='sief2'/>.",
    Vendor.POWER: "inside its <features> the line <nested-hv state='off'/>.",
    Vendor.NONE: "remove virtualization=on from its <qemu:commandline>.",
}


def nested(standing: Standing) -> Sequence[Finding]:
    """Whether guests can reach KVM's nesting code at all."""
    if standing.nested is Answer.NO:
        return [passed("nested", "Nested virtualization is off: no guest can reach that code.")]
    if standing.nested is Answer.YES:
        return [
            note(
                "nested",
                "Nested virtualization is on: each guest that is given vmx, svm or the like can"
                " reach KVM's code for it.",
                f"See who has it: nestctl guests. Where nobody needs it: {_off(standing)}",
            )
        ]
    return [note("nested", "Whether nested virtualization is on is not known.")]


def _off(standing: Standing) -> str:
    if standing.module is not None and standing.module.availability is Availability.LOADABLE:
        return "nestctl nested off"
    mode = standing.facts.arm_mode
    if standing.facts.machine == ARM:
        how = advice(standing.facts.boot_setup, mode.words)
        return how[:1].lower() + how[1:]
    return "see how it is switched off here: nestctl validate"


def device(standing: Standing) -> Sequence[Finding]:
    """Who may create virtual machines, since any machine may attack the host."""
    node = standing.device
    if not node.exists:
        return [passed("device", f"There is no {PATH}: nobody can make a virtual machine.")]
    rights = f"{node.owner}:{node.group}, mode {node.mode:04o}"
    if not node.all_may_use:
        return [passed("device", f"{PATH} is not for all users ({rights}).")]
    if standing.nested is Answer.NO:
        return [note("device", f"Every user may make virtual machines: {PATH} is {rights}.")]
    return [
        warn(
            "device",
            f"Every user may make virtual machines that nest: {PATH} is {rights}. A fault of KVM"
            " that a guest can use is then one that any local user can use (CVE-2026-53359).",
            "Give it to the group kvm alone, with a udev rule in /etc/udev/rules.d:"
            ' KERNEL=="kvm", GROUP="kvm", MODE="0660"',
        )
    ]


def guests(standing: Standing) -> Sequence[Finding]:
    """Which machines can run nested guests, and which do."""
    exposed = [each for each in standing.guests if each.exposure.answer is Answer.YES]
    unknown = [each for each in standing.guests if each.exposure.answer is Answer.UNKNOWN]
    using = [each for each in standing.guests if each.usage.nesting is Nesting.USED]
    unclear = [each for each in standing.guests if each.usage.nesting is Nesting.UNKNOWN]
    found = [
        _exposed(exposed, unknown, _TAKE[standing.snapshot.vendor]),
        _using(using, unclear),
    ]
    return found if standing.machines_known else list(map(_of_some, found))


def _of_some(finding: Finding) -> Finding:
    """The finding if nestd cannot see other users' processes, so that some machines are unknown."""
    others = "nestd may not look at other users' processes, whose machines are not known."
    if finding.verdict is Verdict.PASS:
        return note(finding.id, f"Not known: {others}", "Ask as root, or the installed nestd.")
    return replace(finding, summary=f"{finding.summary} Not known for others: {others}")


def _exposed(exposed: Sequence[Guest], unknown: Sequence[Guest], take: str) -> Finding:
    also = f" Of {_named(unknown)} it is not known." if unknown else ""
    if not exposed and not unknown:
        return passed("exposed-guests", "No running machine has what a hypervisor needs.")
    if not exposed:
        return note(
            "exposed-guests",
            f"Whether machines have what a hypervisor needs is not known: {_named(unknown)}.",
            "See why: nestctl guests",
        )
    return note(
        "exposed-guests",
        f"Machines that have what a hypervisor needs: {_named(exposed)}.{also}",
        f"Take it from one, from its next start on: virsh edit NAME, and {take}",
    )


def _using(using: Sequence[Guest], unclear: Sequence[Guest]) -> Finding:
    also = f" Of {_named(unclear)} it is not known." if unclear else ""
    if using:
        return note("using-guests", f"Machines that have run guests: {_named(using)}.{also}")
    if unclear:
        return note(
            "using-guests",
            f"Whether machines have run guests is not known: {_named(unclear)}.",
        )
    return passed("using-guests", "No running machine has run a guest of its own.")


def _named(found: Sequence[Guest]) -> str:
    names = ", ".join(each.machine.name for each in found[:_MOST_NAMED])
    more = len(found) - _MOST_NAMED
    return names + (f" and {more} more" if more > 0 else "")

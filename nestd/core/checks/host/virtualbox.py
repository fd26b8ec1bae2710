# SPDX-License-Identifier: LGPL-2.1-or-later
"""VirtualBox beside KVM.

VirtualBox before 7.2.10 enables the processor's virtualization itself and fails if KVM has enabled
it; 7.2.10 and later use it through KVM and fail if KVM has not enabled it
(VirtualBox/virtualbox#81, #141, #711).
"""

from __future__ import annotations

from nestd.core.checks.finding import Finding, note, passed, warn
from nestd.core.checks.situation import Situation
from nestd.core.modules.wording import cmdline_words, place
from nestd.formats.modprobe.boot_arguments import advice
from nestd.host.kernel.sysfs import Availability

_PARAMETER = "enable_virt_at_load"  # of kvm, since Linux 6.12, on by default
_OFF = ("N", "0")
_TAKES_KVMS = (7, 2, 10)
_HELD = "VERR_VMX_IN_VMX_ROOT_MODE or VERR_SVM_IN_USE"
_NOT_ON = "VERR_SVM_HOST_SVME_NOT_ENABLED or the VMX equivalent"


def virtualbox(situation: Situation) -> Finding | None:
    """Whether KVM's setting suits the installed version of VirtualBox."""
    found, core = situation.surroundings.virtualbox, situation.facts.modules.get("kvm")
    if not found.sign or core is None or not situation.facts.machine.endswith(("86", "86_64")):
        return None
    value = core.parameters.get(_PARAMETER)
    version = ".".join(map(str, found.version))
    here = f"VirtualBox{f' {version}' if version else ''} is installed ({found.sign})"
    if value is None:
        return passed(
            "virtualbox",
            f"{here}; KVM takes the processor's virtualization only while a virtual machine of its"
            " own runs, or is not loaded.",
        )
    is_off, shown = value in _OFF, f"kvm.{_PARAMETER}={value}"
    if not found.version:
        return _unknown(situation, here, shown, is_off=is_off)
    if is_off is (found.version < _TAKES_KVMS):
        return passed("virtualbox", f"{here}, which runs beside KVM with {shown}.")
    if is_off:
        return warn(
            "virtualbox",
            f"{here}, and KVM does not switch the processor's virtualization on for it ({shown}):"
            f" VirtualBox 7.2.10 and later fail with {_NOT_ON}.",
            _change(situation, "1"),
        )
    return warn(
        "virtualbox",
        f"{here}, and KVM holds the processor's virtualization as long as it is loaded ({shown}):"
        f" VirtualBox before 7.2.10 fails with {_HELD}.",
        f"{_change(situation, '0')}{_free(situation)}",
    )


def _unknown(situation: Situation, here: str, shown: str, *, is_off: bool) -> Finding:
    """The finding if VirtualBox's version, which decides, is unknown."""
    both = (
        f"before 7.2.10 it fails with {_HELD} unless it is 0, later with {_NOT_ON} unless it is 1"
    )
    summary = f"{here}, KVM has {shown}, and VirtualBox's version decides: {both}."
    if is_off:
        return note("virtualbox", summary, f"For 7.2.10 and later:\n{_change(situation, '1')}")
    hint = f"For a version before 7.2.10:\n{_change(situation, '0')}{_free(situation)}"
    return warn("virtualbox", summary, hint)


def _change(situation: Situation, value: str) -> str:
    """A sentence on how to change the value where it is set now."""
    core = situation.facts.module("kvm")
    word = f"kvm.{_PARAMETER}={value}"
    winner = core.next_load.effective(_PARAMETER)
    if winner is not None and not winner.line:
        old = cmdline_words(situation.facts, "kvm", winner)
        return advice(situation.facts.boot_setup, old, [word])
    if core.running.availability is Availability.BUILTIN:
        return advice(situation.facts.boot_setup, (), [word])
    if winner is not None and winner.file != situation.facts.own.path:
        return f"Write {_PARAMETER}={value} in {place(winner)}, then run: nestctl reload kvm"
    return f"Set it with: nestctl set kvm {_PARAMETER}={value}"


def _free(situation: Situation) -> str:
    if situation.facts.modules["kvm"].availability is not Availability.LOADABLE:
        return ""
    return "\nTo free the processor until the next boot: nestctl unload kvm"

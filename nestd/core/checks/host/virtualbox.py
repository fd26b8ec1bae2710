# SPDX-License-Identifier: LGPL-2.1-or-later
"""VirtualBox beside KVM."""

from __future__ import annotations

from nestd.core.checks.finding import Finding, passed, warn
from nestd.core.checks.situation import Situation

_PARAMETER = "enable_virt_at_load"  # of kvm, since Linux 6.12, on by default
_OFF = ("N", "0")


def virtualbox(situation: Situation) -> Finding | None:
    """Whether KVM keeps the processor's virtualization from a VirtualBox that is installed."""
    sign, core = situation.around.virtualbox, situation.facts.modules.get("kvm")
    if not sign or core is None or not situation.facts.machine.endswith(("86", "86_64")):
        return None
    value = core.parameters.get(_PARAMETER)
    if value is None or value in _OFF:
        return passed(
            "virtualbox",
            f"VirtualBox is installed ({sign}); KVM takes the processor's virtualization only while"
            " a virtual machine of its own runs.",
        )
    return warn(
        "virtualbox",
        f"VirtualBox is installed ({sign}), and KVM holds the processor's virtualization as long as"
        f" it is loaded (kvm.{_PARAMETER}={value}): VirtualBox's machines fail with"
        " VERR_VMX_IN_VMX_ROOT_MODE or VERR_SVM_IN_USE.",
        f"If you need both, write options kvm {_PARAMETER}=0 to /etc/modprobe.d/virtualbox.conf and"
        " reboot; a VirtualBox that itself uses KVM needs nothing of that.",
    )

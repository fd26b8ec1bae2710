# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's own view of this host."""

from __future__ import annotations

from nestd.core.checks.finding import Finding, note, passed, warn
from nestd.core.checks.situation import Situation
from nestd.core.model import Answer, Vendor

_ASK = "To see what libvirt finds now: virsh domcapabilities --virttype kvm"
_FEATURES = {Vendor.INTEL: "vmx", Vendor.AMD: "svm"}


def libvirt(situation: Situation) -> Finding | None:
    """The result of libvirt's last probe of QEMU. libvirt probes again when "nested" changes."""
    noted, module = situation.surroundings.libvirt, situation.module
    if noted is None or module is None:
        return None
    if not noted.kvm:
        return note(
            "libvirt",
            f"libvirt found no KVM to use when it last looked at {noted.emulator}. It looks again"
            " before it starts a guest.",
            _ASK,
        )
    running = situation.nested is Answer.YES
    if noted.nesting is not running:
        was, now = ("on", "off") if noted.nesting else ("off", "on")
        return note(
            "libvirt",
            f"When libvirt last looked at {noted.emulator}, nested virtualization was {was}; now it"
            f" is {now}. libvirt looks again before it starts a guest, and needs no restart.",
            _ASK,
        )
    feature = _FEATURES.get(situation.vendor)
    if running and feature and feature not in noted.cpu:
        return warn(
            "libvirt",
            f"libvirt knows that nested virtualization is on, but {noted.emulator} offers no"
            f" {feature} to guests.",
            f"Update QEMU. {_ASK}",
        )
    known = "on" if running else "off"
    return passed("libvirt", f"libvirt knows that nested virtualization is {known}.")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Through what KVM runs on a host, be it a module that nestd does not know, and whether it nests
where no module decides that: on arm64 the kernel command line does (kvm-arm.mode=)."""

from __future__ import annotations

from nestd.core.model import Answer
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.values import version
from nestd.core.modules.vendors import ARM, MODULES, nested_holders, never_nests
from nestd.formats import arm_mode
from nestd.host.kernel.sysfs import Availability

BUILT_IN = "builtin"
KERNEL_DEFAULT = "kernel default"
COMMAND_LINE = "kernel command line"


def backend(facts: HostFacts) -> str:
    """The vendor's module that is loaded, else another one's name, BUILT_IN, or "" for no KVM."""
    holders = nested_holders(facts.machine)
    for name in holders:
        if facts.modules[name].loaded:
            return name
    if facts.other_providers:
        return facts.other_providers[0]
    core = facts.modules.get("kvm")
    if core is not None and core.availability is Availability.LOADABLE:
        return ""  # a /dev/kvm without a module is a static node
    return BUILT_IN if facts.has_device else ""


def nested_without_module(facts: HostFacts, provider: str) -> Answer:
    """Whether KVM, which runs through PROVIDER, nests, now and after a boot with the same command
    line: nothing else can change it."""
    if facts.machine == ARM:
        if not provider:
            return Answer.NO
        asked = facts.arm_mode.mode == arm_mode.NESTED
        otherwise = Answer.UNKNOWN if asked else Answer.NO
        return {True: Answer.YES, False: Answer.NO, None: otherwise}[facts.kvm_nests]
    if never_nests(facts.machine, version(facts.release)):
        return Answer.NO
    # Nobody knows what a KVM of others does; without any there is nothing to nest in.
    return Answer.NO if facts.machine in MODULES and not provider else Answer.UNKNOWN


def decided_without_module(facts: HostFacts) -> str:
    """Who decides that: COMMAND_LINE, KERNEL_DEFAULT, or "" where nobody knows."""
    if facts.machine != ARM:
        return ""
    return COMMAND_LINE if facts.arm_mode.mode else KERNEL_DEFAULT

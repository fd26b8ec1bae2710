# SPDX-License-Identifier: LGPL-2.1-or-later
"""What provides KVM on a host, including modules unknown to nestd, and whether it nests if no
module decides that: on arm64 the kernel command line does (kvm-arm.mode=)."""

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
    """The loaded vendor module, else another module's name, BUILT_IN, or "" without KVM."""
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
    """Whether KVM, provided by PROVIDER, nests now and after a boot with the same command line:
    nothing else can change it."""
    if facts.machine == ARM:
        if not provider:
            return Answer.NO
        asked = facts.arm_mode.mode == arm_mode.NESTED
        otherwise = Answer.UNKNOWN if asked else Answer.NO
        return {True: Answer.YES, False: Answer.NO, None: otherwise}[facts.kvm_nests]
    if never_nests(facts.machine, version(facts.release)):
        return Answer.NO
    # For a third-party KVM this is unknown; without KVM there is nothing to nest in.
    return Answer.NO if facts.machine in MODULES and not provider else Answer.UNKNOWN


def decided_without_module(facts: HostFacts) -> str:
    """What decides that: COMMAND_LINE, KERNEL_DEFAULT, or "" if unknown."""
    if facts.machine != ARM:
        return ""
    return COMMAND_LINE if facts.arm_mode.mode else KERNEL_DEFAULT

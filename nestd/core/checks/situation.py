# SPDX-License-Identifier: LGPL-2.1-or-later
"""The input of the checks: the host's state at one moment, and facts that only checks use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from nestd.core.model import Answer, Module, Snapshot, Vendor
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.values import version
from nestd.core.modules.vendors import HOST_MODULES, default_nested
from nestd.formats.modprobe.next_load import NextLoad
from nestd.formats.virtualization import is_machine
from nestd.host.kernel.sysfs import Availability
from nestd.host.machine.surroundings import Surroundings

_CPU_VENDORS = {"vmx": Vendor.INTEL, "svm": Vendor.AMD}


@dataclass(frozen=True)
class Situation:
    """The host's state as the checks see it."""

    facts: HostFacts
    snapshot: Snapshot
    surroundings: Surroundings

    @cached_property
    def vendor(self) -> Vendor:
        """The vendor of the processor's KVM, even if this kernel lacks the module."""
        if self.snapshot.vendor is not Vendor.NONE:
            return self.snapshot.vendor
        if self.facts.machine.startswith("ppc64"):
            return Vendor.POWER
        if self.facts.machine == "s390x":
            return Vendor.S390
        flags = self.surroundings.processor.flags
        return next((_CPU_VENDORS[flag] for flag in _CPU_VENDORS if flag in flags), Vendor.NONE)

    @cached_property
    def module(self) -> Module | None:
        """The module that has the "nested" parameter; None if the processor has no KVM."""
        return self.snapshot.modules.get(HOST_MODULES.get(self.vendor, ""))

    @cached_property
    def load(self) -> NextLoad | None:
        """The effects of that module's next load."""
        return None if self.module is None else self.facts.module(self.module.name).next_load

    @property
    def nested(self) -> Answer:
        """Whether nested virtualization is on now."""
        return self.snapshot.nested if self.module is None else self.module.nested

    @property
    def is_virtual(self) -> bool:
        """Whether this host is itself a virtual machine; a container is not."""
        return is_machine(self.snapshot.virtualization)

    @property
    def default(self) -> Answer:
        """The value of "nested" if nothing sets it; UNKNOWN if distributions differ."""
        if self.vendor is Vendor.NONE:
            return Answer.UNKNOWN
        return default_nested(HOST_MODULES[self.vendor], version(self.facts.release))

    @property
    def builtin(self) -> bool:
        """Whether the module is part of the kernel image, so that modprobe.d has no effect."""
        return self.module is not None and self.module.availability is Availability.BUILTIN

    @property
    def power_generation(self) -> int:
        """The N in POWERN; 0 for another or an unknown processor."""
        found = re.match(r"POWER(\d+)", self.surroundings.processor.model)
        return int(found.group(1)) if found else 0

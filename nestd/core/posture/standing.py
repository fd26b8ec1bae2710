# SPDX-License-Identifier: LGPL-2.1-or-later
"""The input of the posture's checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nestd.core.guests.guest import Guest
from nestd.core.model import Answer, Module, Snapshot, Vendor
from nestd.core.modules.facts import HostFacts
from nestd.host.kernel.kvm_device import KvmDevice
from nestd.host.posture.distribution import Fixes


@dataclass(frozen=True)
class Standing:
    """The host at one moment. vulnerabilities are the kernel's sentences by name, None if
    unreadable; fixes is the distribution's own data about the running kernel."""

    facts: HostFacts
    snapshot: Snapshot
    guests: tuple[Guest, ...]
    machines_known: bool  # whether the list of machines is complete
    device: KvmDevice
    vulnerabilities: Mapping[str, str] | None
    fixes: Fixes

    @property
    def module(self) -> Module | None:
        """The module with the "nested" parameter."""
        return self.snapshot.modules.get(self.snapshot.host_module)

    @property
    def nested(self) -> Answer:
        """Whether nesting is on now."""
        return self.snapshot.nested

    @property
    def place(self) -> str:
        """This host's place as in KnownCve.places; "" if unknown."""
        if self.facts.machine == "aarch64":
            return "arm64"
        return "" if self.snapshot.vendor is Vendor.NONE else self.snapshot.vendor.value

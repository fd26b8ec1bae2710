# SPDX-License-Identifier: LGPL-2.1-or-later
"""The argument of --simulate: the kind of a simulated host, and its situations.

"intel,guests=3,overridden" is an Intel host with three running guests, where a file other than
kvm.conf decides. nestd and nestctl both parse it; nestd.host.simulated implements it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "intel": "x86 with VMX, RHEL 9, libvirt's modular daemons",
        "amd": "x86 with SVM, RHEL 9, libvirt's modular daemons",
        "power": "POWER9 on PowerNV, RHEL 8, libvirtd",
        "s390": "IBM Z, RHEL 9, libvirt's modular daemons",
        "arm64": "arm64 with FEAT_NV2 and a GICv3, Fedora, libvirt's modular daemons",
    }
)
HYPERVISORS = (
    *("azure", "ec2", "gce", "hyperv", "kvm", "parallels", "proxmox", "virtualbox", "vmware"),
    *("wsl", "xen"),
)
ARM_ALONE = ("kvm-arm-mode", "gicv2", "no-nv2")
MOST_GUESTS = 1000


@dataclass(frozen=True)
class SituationSpec:
    """A situation that can be chosen; value describes the part after "=", "" if there is none."""

    name: str
    text: str
    value: str = ""

    @property
    def usage(self) -> str:
        """The situation's syntax."""
        return f"{self.name}={self.value}" if self.value else self.name


SITUATIONS: Mapping[str, SituationSpec] = MappingProxyType(
    {
        each.name: each
        for each in (
            SituationSpec(
                "guests",
                "N running guests, guest1 to guestN: guest1 has what a hypervisor needs, guest2"
                " (guest1 where it is alone) also runs a guest of its own, the others have not;"
                " none has where nested is off, as on s390 by default",
                "N",
            ),
            SituationSpec("overridden", "another file overrides kvm.conf: nested is off"),
            SituationSpec("cmdline", "the kernel command line decides: nested is off"),
            SituationSpec("blacklisted", "KVM's module is blacklisted, and was not loaded at boot"),
            SituationSpec("builtin", "KVM is part of the kernel image"),
            SituationSpec("missing", "the kernel has no KVM modules"),
            SituationSpec("config-error", "a file has a value that the module will refuse"),
            SituationSpec("load-fails", "a load with other values fails, the old ones load again"),
            SituationSpec("rollback-fails", "once unloaded, KVM's module cannot be loaded again"),
            SituationSpec(
                "kvm-arm-mode",
                "arm64 alone: booted with kvm-arm.mode=MODE; nested switches nesting on",
                "MODE",
            ),
            SituationSpec("gicv2", "arm64 alone: the interrupt controller is a GICv2"),
            SituationSpec("no-nv2", "arm64 alone: the processor has no FEAT_NV2"),
            SituationSpec("slow", "each step of a reload takes a second"),
            SituationSpec("libvirt-unreadable", "libvirt cannot read its daemon's configuration"),
            SituationSpec("socket-activated", "libvirt's daemons are idle: sockets start them"),
            SituationSpec(
                "guest-of",
                "the host is itself a virtual machine whose hypervisor gives it no nested"
                " virtualization: " + ", ".join(HYPERVISORS),
                "HYPERVISOR",
            ),
        )
    }
)


@dataclass(frozen=True)
class Simulation:
    """A kind of host and its situations by name, each with its value ("" for none)."""

    kind: str
    situations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def guests(self) -> int:
        """The number of guests running at the start."""
        return int(self.situations.get("guests", "0"))

    def __contains__(self, situation: str) -> bool:
        return situation in self.situations

    def __str__(self) -> str:
        words = [f"{name}={value}" if value else name for name, value in self.situations.items()]
        return ",".join([self.kind, *words])


def parse(text: str) -> Simulation:
    """Parse KIND[,SITUATION...]. Raises ValueError, whose text is one sentence for the user."""
    kind, *words = [word.strip() for word in text.split(",")]
    if kind not in KINDS:
        raise ValueError(f"There is no kind {kind!r} of simulated host. {_known(KINDS)}")
    situations = {}
    for word in words:
        name, equals, value = word.partition("=")
        spec = SITUATIONS.get(name)
        if spec is None:
            raise ValueError(f"There is no situation {name!r}. {_known(SITUATIONS)}")
        if bool(equals) is not bool(spec.value):
            raise ValueError(f"The situation is written {spec.usage}.")
        _check_value(name, value)
        if name in ARM_ALONE and kind != "arm64":
            raise ValueError(f"The situation {name} is one of arm64 alone.")
        situations[name] = value
    return Simulation(kind, MappingProxyType(situations))


def listing() -> str:
    """The output of `--simulate help`."""
    usage = {each.usage: each.text for each in SITUATIONS.values()}
    parts = [
        "--simulate KIND[,SITUATION...]: for example intel,guests=3,overridden",
        "kinds of hosts:\n" + _table(KINDS),
        "situations, which combine:\n" + _table(usage),
    ]
    return "\n\n".join(parts) + "\n"


def _check_value(name: str, value: str) -> None:
    if name == "guests" and not (
        value.isascii() and value.isdigit() and int(value[:9]) <= MOST_GUESTS
    ):
        raise ValueError(f"guests={value!r}: the number of guests goes from 0 to {MOST_GUESTS}.")
    if name == "guest-of" and value not in HYPERVISORS:
        known = ", ".join(HYPERVISORS)
        raise ValueError(f"There is no hypervisor {value!r}. There are: {known}.")


def _known(names: Mapping[str, object]) -> str:
    return f"There are: {', '.join(names)}. --simulate help tells more."


def _table(rows: Mapping[str, str]) -> str:
    lines = []
    for name, text in rows.items():
        head, gap = f"  {name:22}", " " * 24
        lines += textwrap.wrap(text, 79, initial_indent=head, subsequent_indent=gap)
    return "\n".join(lines)

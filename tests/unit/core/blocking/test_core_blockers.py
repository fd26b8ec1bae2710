# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is reported to block the reload of a module."""

from __future__ import annotations

import pytest

from nestd.core.blocking import blockers
from nestd.core.model import Blocker, BlockerKind
from nestd.formats.printable import LONGEST
from nestd.host.kernel.kvm_holders import KvmHolder
from nestd.host.kernel.sysfs import Availability, ModuleFacts

MACHINE = KvmHolder(1, True, "qemu-kvm", "web1", "")
OPENER = KvmHolder(2, False, "libvirtd", "", "")


def kinds(module: str, *holders: KvmHolder, refcount: int = 1) -> list[str]:
    facts = ModuleFacts(module, Availability.LOADABLE, "live", refcount)
    return [each.kind.value for each in blockers.find(facts, holders, False)]


@pytest.mark.parametrize("module", ["kvm_intel", "kvm_amd", "kvm"])
def test_the_open_device_pins_the_module_that_owns_it(module: str) -> None:
    assert kinds(module, MACHINE, OPENER) == ["machine", "process"]


def test_the_open_device_does_not_pin_kvm_hv() -> None:
    """On POWER kvm.ko owns it; machines pin kvm_hv (see powerpc.c)."""
    assert kinds("kvm_hv", MACHINE, OPENER) == ["machine"]
    assert kinds("kvm_hv", OPENER) == ["unknown"]
    assert kinds("kvm_hv", OPENER, refcount=0) == []


def test_all_blockers_are_named() -> None:
    found = [Blocker(BlockerKind.MACHINE, f"web{n}", n, "") for n in range(1, 1001)]
    said = blockers.sentence("kvm_amd", found)
    assert said.startswith("kvm_amd is in use by machine web1 (pid 1), machine web2 (pid 2), ")
    assert said.endswith(", machine web1000 (pid 1000).")


def test_the_names_fit_a_message() -> None:
    name = "x" * LONGEST
    found = [Blocker(BlockerKind.MODULES_DISABLED, name, 4194304, "")] * 5000
    said = blockers.sentence("kvm_amd", found)
    assert len(said) < 1 << 19  # a D-Bus message may have 128 MiB, one from nestd 1 MiB
    assert said.endswith(" and 4000 more.")

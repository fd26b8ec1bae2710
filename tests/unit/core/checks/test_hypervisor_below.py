# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hypervisor that the host runs on, and options for another vendor's processor."""

from __future__ import annotations

from pathlib import Path

import pytest
from situations import findings, make_situation


@pytest.mark.parametrize(
    ("hypervisor", "words"),
    [
        ("kvm", "host-passthrough"),
        ("kvm", "qm set"),
        ("microsoft", "Set-VMProcessor"),
        ("wsl", "nestedVirtualization=true"),
        ("wsl", ".wslconfig"),
        ("vmware", "vhv.enable"),
        ("oracle", "--nested-hw-virt on"),
        ("xen", "nestedhvm=1"),
        ("parallels", "--nested-virt on"),
        ("amazon", "metal"),
        ("google", "enableNestedVirtualization=true"),
        ("vm-other", "host-passthrough"),
    ],
)
def test_the_hint_is_that_of_the_hypervisor_below(
    hypervisor: str, words: str, tmp_path: Path
) -> None:
    cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu hypervisor\n"
    found = findings(
        make_situation(tmp_path, "intel", {"/proc/cpuinfo": cpuinfo}, virtualization=hypervisor)
    )
    assert words in found["cpu"].hint
    assert "container" not in found["host-virtualization"].summary


@pytest.mark.parametrize("model", ["POWER10 (architected)", "POWER9 (architected)"])
def test_an_lpar_gives_its_guests_no_nested_hv(model: str, tmp_path: Path) -> None:
    cpuinfo = f"processor\t: 0\ncpu\t\t: {model}\nplatform\t: pSeries\nMMU\t\t: Radix\n"
    found = findings(make_situation(tmp_path, "power", {"/proc/cpuinfo": cpuinfo}))
    assert (found["cpu"].verdict.value, "LPAR" in found["cpu"].summary) == ("fail", True)


@pytest.mark.parametrize(
    ("kind", "line", "verdict"),
    [
        ("amd", "options kvm-intel nested=1\n", "note"),
        ("intel", "options kvm_amd nested=1 npt=1\n", "note"),
        ("intel", "options kvm_intel nested=1\n", ""),
        ("s390", "options kvm_intel nested=1\n", ""),
    ],
)
def test_options_of_the_other_vendors_module(
    kind: str, line: str, verdict: str, tmp_path: Path
) -> None:
    found = findings(make_situation(tmp_path, kind, {"/etc/modprobe.d/other.conf": line}))
    assert ("config-vendor" in found) == bool(verdict)
    if verdict:
        assert "other.conf:1" in found["config-vendor"].summary
        assert found["config-vendor"].verdict.value == verdict

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Posture on simulated hosts of every kind with running machines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from nestd.core.guests.guests import Guests
from nestd.core.modules.view import HostView
from nestd.core.posture.posture import Posture
from nestd.host.root import Root
from nestd.host.simulated.domain import Nesting
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.simulated.machines import Machines

NESTED = {
    "intel": ("/sys/module/kvm_intel/parameters/nested", "Y", "N"),
    "amd": ("/sys/module/kvm_amd/parameters/nested", "1", "0"),
    "power": ("/sys/module/kvm_hv/parameters/nested", "Y", "N"),
    "s390": ("/sys/module/kvm/parameters/nested", "1", "0"),
}
TAKEN = {
    "intel": "vmx",
    "amd": "svm",
    "power": "nested-hv",
    "s390": "sief2",
    "arm64": "virtualization=on",
}
COUNTING = ("intel", "amd")  # kinds with a kernel that counts nested runs
Found = dict[str, tuple[str, str, str]]


def posture(directory: Path, kind: str, on: bool, change: Callable[[Root], object]) -> Found:
    """Verdict, summary and hint by id. Of three machines, one could nest, one does, one cannot."""
    root = Root(directory / "root")
    kernel = SimulatedKernel(root, KINDS[kind])
    if kind == "arm64":
        root.at("/proc/cmdline").write_text("kvm-arm.mode=nested" if on else "quiet")
    else:
        path, yes, no = NESTED[kind]
        root.at(path).write_text(yes if on else no)
    machines = Machines(root, kind)
    machines.start("could", Nesting.EXPOSED)
    machines.start("does", Nesting.GUEST)
    machines.start("cannot", Nesting.NONE)
    machines.show()
    change(root)

    async def look() -> Found:
        view = HostView(root, kernel, KMOD, "none")
        found = await Posture(view, Guests(view)).findings()
        return {each.id: (each.verdict.value, each.summary, each.hint) for each in found}

    return asyncio.run(look())


@pytest.mark.parametrize("kind", TAKEN)
def test_who_has_it_is_named_and_how_it_is_taken(tmp_path: Path, kind: str) -> None:
    found = posture(tmp_path, kind, True, lambda root: None)
    verdict, summary, hint = found["exposed-guests"]
    assert (verdict, found["nested"][0]) == ("note", "note")
    named = summary.partition(": ")[2]
    assert "could" in named
    assert "does" in named
    assert "cannot" not in named
    assert TAKEN[kind] in hint


@pytest.mark.parametrize("kind", TAKEN)
def test_who_uses_it_is_named_where_the_kernel_counts(tmp_path: Path, kind: str) -> None:
    verdict, summary, _ = posture(tmp_path, kind, True, lambda root: None)["using-guests"]
    assert verdict == "note"
    if kind in COUNTING:
        assert summary == "Machines that have run guests: does."
    else:
        assert summary.startswith("Whether machines have run guests is not known: ")


@pytest.mark.parametrize("kind", ["intel", "amd", "s390", "arm64"])
def test_a_host_that_does_not_nest_exposes_nobody(tmp_path: Path, kind: str) -> None:
    found = posture(tmp_path, kind, False, lambda root: None)
    assert found["nested"][0] == found["exposed-guests"][0] == "pass"
    assert found["using-guests"][0] == ("pass" if kind in COUNTING else "note")


def test_a_machine_whose_command_line_cannot_be_read_is_not_called_safe(tmp_path: Path) -> None:
    def hide(root: Root) -> None:
        for each in root.at("/proc").glob("[0-9]*/cmdline"):
            each.write_bytes(b"")
        for each in root.at("/run/libvirt/qemu").glob("*.xml"):
            each.unlink()

    found = posture(tmp_path, "amd", True, hide)
    assert found["exposed-guests"][0] == "note"
    assert "is not known" in found["exposed-guests"][1]


def test_the_worst_of_all_is_told_in_one_posture(tmp_path: Path) -> None:
    """Nesting for all users on a vulnerable processor with its mitigations switched off."""

    def spoil(root: Root) -> None:
        root.at("/dev/kvm").chmod(0o666)
        root.at("/proc/cmdline").write_text("ro mitigations=off\n")
        told = {"vmscape": "Vulnerable", "spec_rstack_overflow": "Vulnerable: No microcode"}
        directory = root.at("/sys/devices/system/cpu/vulnerabilities")
        directory.mkdir(parents=True, exist_ok=True)
        for name, sentence in told.items():
            (directory / name).write_text(f"{sentence}\n")
        root.at("/sys/module/kvm_amd/parameters/avic").write_text("Y\n")
        root.at("/sys/module/kvm/parameters/nx_huge_pages").write_text("never\n")

    found = posture(tmp_path, "amd", True, spoil)
    warned = {id_ for id_, (verdict, _, _) in found.items() if verdict == "warn"}
    assert warned == {
        "device",
        "mitigations",
        "cpu-vmscape",
        "cpu-spec-rstack-overflow",
        "avic",
        "nx-huge-pages",
    }
    assert all(hint for verdict, _, hint in found.values() if verdict == "warn")

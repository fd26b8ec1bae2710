# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulated kernel behaves like real ones."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from nestd.host.kernel import kvm_holders
from nestd.host.kernel.interface import LoadError
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import MACHINES, SimulatedKernel


def machines(root: Root) -> dict[str, int]:
    """The machines found in /proc: names with process IDs."""
    return {holder.guest: holder.pid for holder in kvm_holders.scan(root, {}) if holder.machine}


def look_again(root: Root) -> None:
    SimulatedKernel(root, KINDS["intel"])


def refusal(kernel: SimulatedKernel, module: str) -> str:
    """The error from loading MODULE after it was unloaded."""

    async def reload() -> None:
        await kernel.unload(module)
        await kernel.load(module)

    with pytest.raises(LoadError) as caught:
        asyncio.run(reload())
    return str(caught.value)


def test_each_machine_has_a_process_of_its_own(tmp_path: Path) -> None:
    """Independent of their names: the bytes of these have the same sum."""
    root = Root(tmp_path)
    look_again(root)
    for name in ("web12", "web21", "web30"):
        root.at(f"{MACHINES}/{name}").touch()
    look_again(root)
    before = machines(root)
    assert set(before) == {"web12", "web21", "web30"}
    assert len(set(before.values())) == 3
    assert len(kvm_holders.machine_ids(root)) == 3


def test_a_machine_keeps_its_process_while_others_come_and_go(tmp_path: Path) -> None:
    root = Root(tmp_path)
    look_again(root)
    root.at(f"{MACHINES}/web21").touch()
    look_again(root)
    before = machines(root)
    root.at(f"{MACHINES}/web12").touch()
    look_again(root)
    assert machines(root)["web21"] == before["web21"]
    root.at(f"{MACHINES}/web12").unlink()
    look_again(root)
    assert machines(root) == before


def test_names_of_any_bytes_are_machines(tmp_path: Path) -> None:
    root = Root(tmp_path)
    look_again(root)
    for name in (b"\xff", b"a,b", b"a b"):
        Path(os.fsdecode(os.fsencode(root.at(MACHINES)) + b"/" + name)).touch()
    look_again(root)
    assert set(machines(root)) == {r"\xff", "a,b", "a b"}


def test_the_kernel_command_line_forbids_a_load(tmp_path: Path) -> None:
    root = Root(tmp_path)
    kernel = SimulatedKernel(root, KINDS["intel"])
    root.at("/proc/cmdline").write_text("quiet module_blacklist=pcspkr,kvm_intel\n")
    said = refusal(kernel, "kvm_intel")
    assert "Operation not permitted" in said
    assert "Module kvm_intel is blacklisted" in said
    assert not kernel.read_module("kvm_intel").loaded


def test_a_module_that_another_one_needs_is_forbidden(tmp_path: Path) -> None:
    root = Root(tmp_path)
    kernel = SimulatedKernel(root, KINDS["intel"])
    asyncio.run(kernel.unload("kvm_intel"))
    asyncio.run(kernel.unload("kvm"))
    root.at("/proc/cmdline").write_text("module_blacklist=kvm\n")
    with pytest.raises(LoadError, match="Module kvm is blacklisted"):
        asyncio.run(kernel.load("kvm_intel"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("alias kvm_intel off", "could not insert 'off': Unknown symbol in module"),
        ("alias kvm-intel kvm", "modprobe loaded nothing and said nothing"),
    ],
)
def test_an_alias_leads_modprobe_elsewhere(tmp_path: Path, line: str, said: str) -> None:
    root = Root(tmp_path)
    kernel = SimulatedKernel(root, KINDS["intel"])
    root.at("/etc/modprobe.d/off.conf").write_text(line + "\n")
    assert refusal(kernel, "kvm_intel").startswith(said)
    asyncio.run(kernel.load("kvm_intel", only_these=True))
    assert kernel.read_module("kvm_intel").loaded


def test_blacklist_means_nothing_to_modprobe_itself(tmp_path: Path) -> None:
    root = Root(tmp_path)
    kernel = SimulatedKernel(root, KINDS["intel"])
    root.at("/etc/modprobe.d/off.conf").write_text("blacklist kvm_intel\n")
    asyncio.run(kernel.unload("kvm_intel"))
    asyncio.run(kernel.load("kvm_intel"))
    assert kernel.read_module("kvm_intel").loaded


def test_a_directory_is_a_host_of_one_kind(tmp_path: Path) -> None:
    root = Root(tmp_path)
    SimulatedKernel(root, KINDS["intel"])
    with pytest.raises(OSError, match=f"{tmp_path} holds a simulated host of another kind: intel"):
        SimulatedKernel(root, KINDS["power"])
    SimulatedKernel(root, KINDS["intel"])

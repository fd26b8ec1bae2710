# SPDX-License-Identifier: LGPL-2.1-or-later
"""Upgrading, removing and installing packages while the machine runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable

import installation
import pytest
from container import Boot, Container, Overlay, wait_for

pytestmark = pytest.mark.nspawn

OTHERS = ("/etc/modprobe.d/kvm.conf", "/etc/libvirt/libvirtd.conf")
PLACES = ("/etc", "/usr", "/lib/systemd", "/var/lib")
SET = ("org.nestd1", "/org/nestd1/module/kvm_intel", "org.nestd1.Module", "SetNested")
SECONDS = 20.0
Prepare = Callable[[str, Path], Overlay]


@pytest.mark.parametrize("kind", installation.KINDS)
def test_upgraded_removed_and_installed_again(
    kind: str, prepare: Prepare, boot: Boot, tmp_path: Path
) -> None:
    with boot(prepare(kind, tmp_path)) as machine:
        machine.output("busctl", "call", *SET, "bsa{sv}", "true", "boot", "0")
        before = [machine.file(path).read_bytes() for path in OTHERS]
        process = machine.property("MainPID")
        assert machine.output("find", "/var/lib/nestd", "-type", "f") != ""

        installation.upgrade(kind, machine.output)
        assert wait_for(lambda: _is_active(machine), SECONDS)
        assert machine.property("MainPID") != process

        installation.remove(kind, machine.output)
        assert machine.property("LoadState") == "not-found"
        assert machine.run("busctl", "status", "org.nestd1").returncode != 0
        assert [machine.file(path).read_bytes() for path in OTHERS] == before
        left = machine.output("find", *PLACES, "-name", "*nestd*").split()
        assert [path for path in left if "polkit-1/rules.d" not in path] == []

        installation.install(kind, machine.output)
        assert machine.property("UnitFileState") == "enabled"
        assert wait_for(lambda: _is_active(machine), SECONDS)
        assert [machine.file(path).read_bytes() for path in OTHERS] == before


@pytest.mark.parametrize("kind", installation.KINDS)
def test_without_a_running_systemd(kind: str, prepare: Prepare, tmp_path: Path) -> None:
    """As in an image build: the scripts try nothing that only a booted system can do."""
    overlay = prepare(kind, tmp_path)
    said: list[str] = []
    for step in (installation.upgrade, installation.install_libvirt, installation.remove):
        step(kind, lambda *command: said.append(overlay.run(*command)))
    # With dpkg, triggers of other packages complain.
    if kind == "rpm":
        assert [text for text in said if "Failed" in text or "not been booted" in text] == []
    assert not (overlay.directory / "upper" / "usr" / "bin" / "nestd").is_file()


@pytest.mark.parametrize("kind", installation.KINDS)
def test_libvirt_may_come_later(kind: str, prepare: Prepare, boot: Boot, tmp_path: Path) -> None:
    """In its sandbox nestd may write only to directories that existed when it started."""
    overlay = prepare(kind, tmp_path)
    shutil.rmtree(overlay.directory / "upper" / "etc" / "libvirt")
    with boot(overlay) as machine:
        assert _is_active(machine)
        assert "/etc/libvirt" not in _writable_mounts(machine)
        installation.install_libvirt(kind, machine.output)
        assert wait_for(lambda: _is_active(machine), SECONDS)
        assert "/etc/libvirt" in _writable_mounts(machine)


def _is_active(machine: Container) -> bool:
    return machine.property("ActiveState") == "active"


def _writable_mounts(machine: Container) -> list[str]:
    mounts = machine.file(f"/proc/{machine.property('MainPID')}/mountinfo").read_text()
    fields = [line.split() for line in mounts.splitlines()]
    return [field[4] for field in fields if "rw" in field[5].split(",")]

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installed and removed while the machine runs."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import installation
import pytest
from conftest import Boot
from container import Overlay, wait_for

pytestmark = pytest.mark.nspawn

OTHERS = ("/etc/modprobe.d/kvm.conf", "/etc/libvirt/libvirtd.conf")
SET = ("org.nestd1", "/org/nestd1/module/kvm_intel", "org.nestd1.Module", "SetNested")


@pytest.mark.parametrize("kind", installation.KINDS)
def test_removed_and_installed_again(
    kind: str, prepare: Callable[[str, Path], Overlay], boot: Boot, tmp_path: Path
) -> None:
    with boot(prepare(kind, tmp_path)) as machine:
        machine.output("busctl", "call", *SET, "bsa{sv}", "true", "boot", "0")
        before = [machine.file(path).read_bytes() for path in OTHERS]

        installation.remove(kind, machine.output)
        assert machine.property("LoadState") == "not-found"
        assert machine.run("busctl", "status", "org.nestd1").returncode != 0
        assert [machine.file(path).read_bytes() for path in OTHERS] == before
        left = machine.output("find", "/etc", "/usr", "/lib/systemd", "-name", "*nestd*").split()
        assert [path for path in left if "polkit-1/rules.d" not in path] == []

        installation.install(kind, machine.output)
        assert machine.property("UnitFileState") == "enabled"
        assert wait_for(lambda: machine.property("ActiveState") == "active", 10)
        assert [machine.file(path).read_bytes() for path in OTHERS] == before

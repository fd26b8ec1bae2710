# SPDX-License-Identifier: LGPL-2.1-or-later
"""The assumptions of the other tests: what this machine's kernel and libvirt really do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import machines

SYS_MODULE = Path("/sys/module")


def test_kvm_amd_is_loaded_by_udev_at_boot() -> None:
    assert (SYS_MODULE / "kvm_amd/initstate").read_text() == "live\n"
    assert (SYS_MODULE / "kvm_amd/parameters/nested").read_text() == "1\n"


def test_a_machine_pins_the_module() -> None:
    refcnt = SYS_MODULE / "kvm_amd/refcnt"
    assert refcnt.read_text() == "0\n"
    with machines.bare_machine():
        assert int(refcnt.read_text()) >= 2
    assert refcnt.read_text() == "0\n"


def test_a_libvirt_domain_runs_on_kvm() -> None:
    with machines.libvirt_domain("alpha") as pid:
        names = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        assert "anon_inode:kvm-vm" in names
        assert "machine-qemu" in Path(f"/proc/{pid}/cgroup").read_text()


def test_stub_of_another_vendor_loads_unloads_and_fails() -> None:
    subprocess.run(["modprobe", "kvm_intel", "nested=0"], check=True)
    assert (SYS_MODULE / "kvm_intel/parameters/nested").read_text() == "N\n"
    subprocess.run(["rmmod", "kvm_intel"], check=True)
    done = subprocess.run(
        ["modprobe", "kvm_intel", "init_error=95"], stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1
    assert "Operation not supported" in done.stderr
    assert not (SYS_MODULE / "kvm_intel").exists()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Virtual machines in the guest, for the tests of nestd."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KVM_CREATE_VM = 0xAE01

DOMAIN = """\
<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>
"""


@contextmanager
def bare_machine() -> Iterator[None]:
    """A machine of this process, created without a VMM; /dev/kvm is open too."""
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    try:
        yield
    finally:
        os.close(machine)
        os.close(kvm)


@contextmanager
def libvirt_domain(name: str) -> Iterator[int]:
    """A running domain of type kvm, without a disk; yields its process ID. Starts in seconds."""
    xml = Path("/run", f"{name}.xml")
    xml.write_text(DOMAIN.format(name=name))
    virsh = ["virsh", "--quiet"]
    subprocess.run([*virsh, "create", str(xml)], check=True, timeout=60)
    try:
        yield int(Path("/run/libvirt/qemu", f"{name}.pid").read_text())
    finally:
        subprocess.run([*virsh, "destroy", name], check=True, timeout=60)

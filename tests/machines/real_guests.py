# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real libvirtd with QEMU guests, and nestctl on the same host.

A guest boots 512 bytes of code from a floppy image, and shuts down as soon as its power button is
pressed: it writes to the ACPI registers that QEMU's machine "pc" has at 0x600. Running guests are
emulated unless the test is about KVM: not every KVM boots from a floppy disk.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import libvirtd as real
from libvirtd import Libvirtd
from run_nestctl import CHECKOUT, Result, environment

SECONDS = 600  # for one step on a busy machine
_QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
"""
# Waits until the power button is pressed, checking at each tick, then powers off; or waits forever.
_OBEDIENT = bytes.fromhex("ba0206 b80001 ef fb f4 ba0006 ed f6c401 74f5 ba0406 b80020 ef f4 ebfd")
_DEAF = bytes.fromhex("fb f4 ebfc")
KVM64 = "<cpu mode='custom' match='exact'><model>kvm64</model></cpu>"
_DOMAIN = """\
<domain type='{type}'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='fd'/></os>
  <features><acpi/></features>
  {cpu}
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='floppy'>
      <driver name='qemu' type='raw'/><source file='{image}'/><target dev='fda'/><readonly/>
    </disk>
    <graphics type='vnc' passwd='secret'/>
  </devices>
</domain>
"""


@dataclass(frozen=True)
class Guests:
    """The guests of one libvirtd, which runs in its own mount namespace."""

    libvirtd: Libvirtd
    address: str

    def _inside(self, *command: str | Path) -> list[str | Path]:
        assert self.libvirtd.process is not None
        return ["nsenter", f"--mount=/proc/{self.libvirtd.process.pid}/ns/mnt", *command]

    def virsh(self, *words: str) -> str:
        command = self._inside("virsh", "--quiet", *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def define(self, name: str, *, deaf: bool = False) -> int:
        """Define an emulated guest and start it; returns the process ID."""
        self.define_kvm(name, cpu="", deaf=deaf, type_="qemu")
        return self.start(name)

    def define_kvm(
        self, name: str, cpu: str = KVM64, *, deaf: bool = True, type_: str = "kvm"
    ) -> None:
        """Define a guest that uses KVM."""
        code = _DEAF if deaf else _OBEDIENT
        image = self.libvirtd.root / f"{'deaf' if deaf else 'obedient'}.img"
        image.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1440 * 1024 - 512))
        xml = self.libvirtd.root / f"{name}.xml"
        xml.write_text(_DOMAIN.format(name=name, cpu=cpu, image=image, type=type_))
        self.virsh("define", str(xml))

    def start(self, name: str) -> int:
        self.virsh("start", name)
        return self.pid(name)

    def pid(self, name: str) -> int:
        return int((self.libvirtd.root / f"run/libvirt/qemu/{name}.pid").read_text())

    def state(self, name: str) -> str:
        return self.virsh("domstate", "--reason", name)

    def wait_for(self, name: str, state: str) -> None:
        deadline = time.monotonic() + SECONDS
        while self.state(name) != state:
            assert time.monotonic() < deadline, self.state(name)
            time.sleep(0.1)

    def definition(self, name: str) -> str:
        return self.virsh("dumpxml", "--inactive", "--security-info", name)

    def start_nestctl(self, *arguments: str) -> subprocess.Popen[str]:
        """Start nestctl in libvirtd's namespace."""
        command = self._inside(sys.executable, "-m", "nestd.cli", *arguments)
        return subprocess.Popen(
            command,
            env=environment(DBUS_SYSTEM_BUS_ADDRESS=self.address),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def record(self) -> str:
        """nestctl's record of the guests that it has stopped."""
        path = "/var/lib/nestd/stopped-machines.json"
        return subprocess.run(self._inside("cat", path), capture_output=True, text=True).stdout

    @contextmanager
    def virsh_that(self, script: str) -> Iterator[None]:
        """Make nestctl run a shell script instead of virsh; the script finds virsh in $VIRSH."""
        directory = self.libvirtd.root / "bin"
        directory.mkdir(exist_ok=True)
        wrapper, virsh = directory / "wrapper", directory / "virsh"
        shutil.copy("/usr/bin/virsh", virsh)
        wrapper.write_text(f'#!/bin/sh\nVIRSH={virsh}\n{script}\nexec $VIRSH "$@"\n')
        wrapper.chmod(0o755)
        subprocess.run(self._inside("mount", "--bind", wrapper, "/usr/bin/virsh"), check=True)
        try:
            yield
        finally:
            subprocess.run(self._inside("umount", "/usr/bin/virsh"), check=True)

    def nestctl(self, *arguments: str) -> Result:
        process = self.start_nestctl(*arguments)
        out, err = process.communicate(timeout=SECONDS)
        return Result(process.returncode, out, err)


@contextmanager
def real_guests(root: Path, address: str) -> Iterator[Guests]:
    """A libvirtd without guests; any guests end with it."""
    libvirtd = real.prepare(root)
    libvirtd.drivers = True
    (root / "etc/libvirt/qemu.conf").write_text(_QEMU_CONF)
    libvirtd.start()
    guests = Guests(libvirtd, address)
    try:
        yield guests
    finally:
        for name in guests.virsh("list", "--name").splitlines():
            guests.virsh("destroy", name)
        libvirtd.stop()


__all__ = ["CHECKOUT", "KVM64", "Guests", "Result", "real_guests"]

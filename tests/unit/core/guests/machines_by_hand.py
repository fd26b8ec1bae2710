# SPDX-License-Identifier: LGPL-2.1-or-later
"""Running machines as Linux, KVM and libvirt show them, as files below a Root."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from nestd.host.root import Root

BOOT = 1_700_000_000
_STATUS = """\
<!--
WARNING: THIS IS AN AUTO-GENERATED FILE.
-->
<domstatus state='running' reason='booted' pid='{pid}'>
  <monitor path='/var/lib/libvirt/qemu/monitor.sock' type='unix'/>
  <qemuCaps><flag name='kvm'/></qemuCaps>
  <devices><device alias='net0'/></devices>
  <domain type='kvm' id='1'>
    <name>{name}</name>
    <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
    {inside}
    <devices><graphics type='vnc' passwd='secret'/></devices>
  </domain>
</domstatus>
"""


def write(root: Root, path: str, data: str | bytes, mode: int = 0o644) -> None:
    place = root.at(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data.encode() if isinstance(data, str) else data)
    place.chmod(mode)


def add_machine(
    root: Root,
    pid: int,
    arguments: Sequence[str] = (),
    *,
    executable: str = "/usr/bin/qemu-system-x86_64",
    started: float = BOOT + 100,
    counts: Mapping[str, str] | None = None,
) -> None:
    """A process with a virtual machine, and KVM's debugfs directory of it with COUNTS."""
    directory = root.at(f"/proc/{pid}")
    (directory / "fd").mkdir(parents=True)
    (directory / "fd/9").symlink_to("/dev/kvm")
    (directory / "fd/10").symlink_to("anon_inode:kvm-vm")
    (directory / "exe").symlink_to(executable)
    (directory / "cmdline").write_bytes(b"".join(os.fsencode(f"{each}\0") for each in arguments))
    ticks = int((started - BOOT) * os.sysconf("SC_CLK_TCK"))
    zeros = "0 " * 17
    (directory / "stat").write_text(f"{pid} (a b) S 1 {zeros}{ticks} 0 0\n")
    write(root, "/proc/stat", f"cpu 1 2 3\nbtime {BOOT}\n")
    for name, text in (counts or {}).items():
        write(root, f"/sys/kernel/debug/kvm/{pid}-10/{name}", text)


def add_domain(root: Root, pid: int, name: str, inside: str) -> None:
    """libvirt's live state of the machine with that PID."""
    status = _STATUS.format(pid=pid, name=name, inside=inside)
    write(root, f"/run/libvirt/qemu/{name}.xml", status, 0o600)
    write(root, f"/run/libvirt/qemu/{name}.pid", str(pid), 0o600)


def loaded_at(root: Root, module: str, when: float) -> None:
    """Set the time of the module's directory in sysfs to that of its load."""
    os.utime(root.at(f"/sys/module/{module}"), (when, when))

# SPDX-License-Identifier: LGPL-2.1-or-later
"""An archive of a real host: the journal, libvirt's and QEMU's logs, and no planted password."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from client import MANAGER, NAME, ROOT, Variant

from nestd.dbus.connection.transport import Connection

PASSWORD = "pl4ntedPw"  # VNC accepts at most eight characters; libvirt logs all of them
LOG = Path("/var/log/libvirt/collect-test.log")
MACHINE = "collect-test"
DOMAIN = f"""\
<domain type='kvm'>
  <name>{MACHINE}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <graphics type='vnc' port='-1' autoport='yes' passwd='{PASSWORD[:8]}'/>
  </devices>
</domain>
"""


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    return done.stdout


@contextmanager
def _libvirt_debug_log() -> Iterator[None]:
    """Make libvirtd write everything that it does to LOG."""
    admin = ("virt-admin", "-c", "libvirtd:///system")
    former = {
        what: _run(*admin, what).partition(":")[2].strip()
        for what in ("daemon-log-filters", "daemon-log-outputs")
    }
    _run(*admin, "daemon-log-filters", "1:qemu 1:libvirt 1:conf")
    _run(*admin, "daemon-log-outputs", f"1:file:{LOG}")
    try:
        yield
    finally:
        _run(*admin, "daemon-log-outputs", former["daemon-log-outputs"])
        _run(*admin, "daemon-log-filters", former["daemon-log-filters"])


def _plant() -> None:
    """Start a machine with a VNC password, change the password, and stop the machine."""
    xml = Path("/run", f"{MACHINE}.xml")
    xml.write_text(DOMAIN)
    with _libvirt_debug_log():
        _run("virsh", "--quiet", "create", str(xml))
        try:
            command = json.dumps(
                {
                    "execute": "set_password",
                    "arguments": {"protocol": "vnc", "password": PASSWORD[:8]},
                }
            )
            _run("virsh", "--quiet", "qemu-monitor-command", MACHINE, command)
        finally:
            _run("virsh", "--quiet", "destroy", MACHINE)
    xml.unlink()


async def _collect() -> bytes:
    connection = await Connection.connect(take_descriptors=True)
    try:
        [descriptor] = await connection.call(
            NAME,
            ROOT,
            MANAGER,
            "CollectLogs",
            "a{sv}",
            [{"max_bytes": Variant("t", 64 << 20)}],
            timeout=60,
            take_descriptor=True,
        )
        assert isinstance(descriptor, int)
        os.set_blocking(descriptor, True)
        with open(descriptor, "rb") as pipe:
            return await asyncio.to_thread(pipe.read)
    finally:
        connection.close()


def test_an_archive_has_the_logs_and_no_password(
    record_property: Callable[[str, object], None],
) -> None:
    try:
        _plant()
        raw = LOG.read_bytes()
        assert raw.count(PASSWORD[:8].encode()) >= 2, "nothing was planted"
        data = asyncio.run(_collect())
    finally:
        LOG.unlink(missing_ok=True)
        Path("/var/log/libvirt/qemu", f"{MACHINE}.log").unlink(missing_ok=True)
    files = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            files[member.name.split("/", 1)[1]] = file.read()
    record_property("archive", f"{len(data)} bytes of {sum(map(len, files.values()))}")

    assert [name for name, text in files.items() if PASSWORD[:8].encode() in text] == []
    log = files[f"logs/libvirt/{LOG.name}"]
    assert log.count(b"[redacted]") >= raw.count(PASSWORD[:8].encode())
    assert abs(log.count(b"\n") - raw.count(b"\n")) <= 1, "lines were lost"
    assert b"-vnc " in files[f"logs/libvirt/qemu/{MACHINE}.log"]
    assert b"nestd" in files["journal/libvirt-and-nestd.log"]
    assert b"kvm" in files["journal/kernel-about-kvm.log"].lower()
    assert b"libvirtd: libvirtd (libvirt) " in files["nestd/versions"]
    assert b"qemu-system-x86_64: QEMU emulator version" in files["nestd/versions"]
    assert "config/etc/libvirt/libvirtd.conf" in files
    assert "config/etc/libvirt/qemu.conf" in files
    index = json.loads(files["INDEX.json"])
    assert index["redaction"]["count"] >= 2
    assert not [name for name in files if name.endswith(".xml")]

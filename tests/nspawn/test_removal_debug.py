# SPDX-License-Identifier: LGPL-2.1-or-later
"""Removing nestd while a libvirt daemon writes debug logs.

The daemon is a sleeping process, and virt-admin a script that keeps the settings in files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import installation
import pytest
from container import Boot, Container, Overlay, wait_for

pytestmark = pytest.mark.nspawn

SECONDS = 20.0
DAEMON = ("org.nestd1", "/org/nestd1/log/libvirtd", "org.nestd1.LogDaemon")
# A place where nestd's sandbox lets virt-admin write. Filters are reported with stars, as by
# libvirt.
SETTINGS = "/etc/libvirt/stand-in"
BEFORE = ("3:*remote* ", "3:journald")
VIRT_ADMIN = f"""#!/bin/sh
cd {SETTINGS} || exit
case $#$4 in
    4*) cat "$4"; echo ;;
    *filters) for each in $5; do printf '%s:*%s* ' "${{each%%:*}}" "${{each#*:}}"; done > "$4" ;;
    *outputs) printf %s "$5" > "$4" ;;
esac
"""
Prepare = Callable[[str, Path], Overlay]


@pytest.mark.parametrize("kind", installation.KINDS)
def test_the_daemon_logs_what_it_did_before(
    kind: str, prepare: Prepare, boot: Boot, tmp_path: Path
) -> None:
    with boot(prepare(kind, tmp_path)) as machine:
        _start_libvirtd(machine)
        machine.output("busctl", "call", *DAEMON, "StartDebug", "sua{sv}", "1:qemu", "600", "0")
        assert _settings(machine)[0] == "1:*qemu* "
        assert _settings(machine)[1] != BEFORE[1]
        # A session that cannot be ended does not block the removal either.
        machine.write("/run/nestd/logs/another.debug", "")

        installation.remove(kind, machine.output)
        assert machine.property("LoadState") == "not-found"
        assert _settings(machine) == BEFORE


@pytest.mark.parametrize("kind", installation.KINDS)
def test_an_upgrade_keeps_the_session(
    kind: str, prepare: Prepare, boot: Boot, tmp_path: Path
) -> None:
    with boot(prepare(kind, tmp_path)) as machine:
        _start_libvirtd(machine)
        machine.output("busctl", "call", *DAEMON, "StartDebug", "sua{sv}", "1:qemu", "600", "0")
        installation.upgrade(kind, machine.output)
        until = machine.output("busctl", "get-property", *DAEMON, "DebugUntil")
        assert int(until.split()[1]) > 0
        assert _settings(machine)[0] == "1:*qemu* "


@pytest.mark.parametrize("kind", installation.KINDS)
def test_a_nestd_that_does_not_start_is_removed(
    kind: str, prepare: Prepare, boot: Boot, tmp_path: Path
) -> None:
    with boot(prepare(kind, tmp_path)) as machine:
        machine.write("/run/nestd/logs/libvirtd.debug", "")
        machine.output("systemctl", "mask", "--runtime", "--now", "nestd.service")
        installation.remove(kind, machine.output)
        assert not machine.file("/usr/bin/nestd").exists()


def _start_libvirtd(machine: Container) -> None:
    """Starts the fake daemon, and waits until nestd has seen it."""
    machine.file("/var/log/libvirt").mkdir()
    for name, text in zip(("daemon-log-filters", "daemon-log-outputs"), BEFORE):
        machine.write(f"{SETTINGS}/{name}", text)
    machine.write("/usr/bin/virt-admin", VIRT_ADMIN)
    machine.file("/usr/bin/virt-admin").chmod(0o755)
    machine.output("cp", "/bin/sleep", "/usr/sbin/libvirtd")
    machine.output("systemd-run", "--unit=libvirtd", "/usr/sbin/libvirtd", "infinity")
    machine.write("/run/libvirtd.pid", machine.property("MainPID", "libvirtd.service"))
    active = ("busctl", "get-property", *DAEMON, "Active")
    assert wait_for(lambda: machine.run(*active).stdout == "b true\n", SECONDS)


def _settings(machine: Container) -> tuple[str, str]:
    """The filters and outputs that were last set in the fake daemon."""
    return (
        machine.file(f"{SETTINGS}/daemon-log-filters").read_text(),
        machine.file(f"{SETTINGS}/daemon-log-outputs").read_text(),
    )

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shipped unit's sandbox from inside; modules and devices are for the tier "vm"."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from container import Container

# The other half of this test runs the probe in the vm tier's guest.
sys.path.append(str(Path(__file__).parents[1] / "vm" / "guest"))

import sandbox_probe

pytestmark = pytest.mark.nspawn

ANY_USER = 12345


@pytest.fixture(scope="module")
def found(machine: Container) -> dict[str, str]:
    """The results of the probe."""
    machine.write(sandbox_probe.SCRIPT, Path(sandbox_probe.__file__).read_text())
    for path in (*sandbox_probe.PLANTED, sandbox_probe.OTHERS):
        machine.write(path, "secret")
    others = machine.file(sandbox_probe.OTHERS)
    others.chmod(0o600)
    os.chown(others, ANY_USER, ANY_USER)
    shipped = machine.file(machine.property("FragmentPath")).read_text()
    unit = sandbox_probe.probe_unit(shipped)
    machine.write("/run/systemd/system/nestd-probe.service", unit)
    machine.output("systemctl", "daemon-reload")
    machine.output("systemctl", "start", "nestd-probe.service")
    return dict(json.loads(machine.file(sandbox_probe.OUTPUT).read_text()))


def test_the_sandbox_lets_all_be_done_that_nestd_does(found: dict[str, str]) -> None:
    assert sandbox_probe.held_back(found) == {}
    assert found["kernel: unload a module"] != "EPERM"


def test_the_sandbox_lets_nothing_else_be_done(found: dict[str, str]) -> None:
    assert sandbox_probe.let_through(found) == []


def test_a_file_keeps_its_owner_and_mode(machine: Container) -> None:
    conf = machine.file("/etc/modprobe.d/kvm.conf")
    before = conf.stat()
    os.chown(conf, ANY_USER, ANY_USER)
    conf.chmod(0o600)
    call = ("busctl", "call", "org.nestd1", "/org/nestd1/module/kvm_intel", "org.nestd1.Module")
    machine.output(*call, "SetNested", "bsa{sv}", "true", "boot", "0")
    after = conf.stat()
    assert "nested=1" in conf.read_text()
    assert (after.st_uid, after.st_gid, after.st_mode & 0o7777) == (ANY_USER, ANY_USER, 0o600)
    machine.output(*call, "SetParameters", "a{ss}sa{sv}", "1", "nested", "", "boot", "0")
    os.chown(conf, before.st_uid, before.st_gid)
    conf.chmod(before.st_mode & 0o7777)

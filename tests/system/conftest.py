# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus, shared by the tests of this folder, with the real nestd on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_bus import PrivateBus, private_bus
from running_nestd import Nestd, running_nestd


@pytest.fixture(scope="session")
def bus() -> Iterator[PrivateBus]:
    with private_bus("dbus-daemon") as bus:
        yield bus


@pytest.fixture
def intel(bus: PrivateBus, tmp_path: Path) -> Iterator[Nestd]:
    """nestd on a fresh simulated Intel host."""
    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
        yield nestd


@pytest.fixture
def beside_libvirtd(bus: PrivateBus, tmp_path: Path) -> Iterator[Nestd]:
    """nestd on a host with a sleeping process in place of libvirtd."""
    root = tmp_path / "root"
    for directory in ("etc/libvirt", "run", "usr/sbin", "var/log/libvirt"):
        (root / directory).mkdir(parents=True)
    (root / "proc").symlink_to("/proc")
    program = root / "usr/sbin/libvirtd"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "600"]) as process:
        (root / "run/libvirtd.pid").write_text(str(process.pid))
        with running_nestd(bus.address, tmp_path) as nestd:
            yield nestd
        process.kill()

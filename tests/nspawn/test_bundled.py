# SPDX-License-Identifier: LGPL-2.1-or-later
"""The RPM for RHEL, which bundles dbus-next, on a machine without dbus-next."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import debian_image
import installation
import pytest
from container import Boot, Container, Overlay

pytestmark = pytest.mark.nspawn

OWNER = "import nestd.dbus.connection.protocol, dbus_next; print(dbus_next.__file__)"


@pytest.fixture(scope="module")
def rhel(
    images: Path, packages: Path, boot: Boot, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    overlay = Overlay(images / "base", tmp_path_factory.mktemp("rhel"))
    directory = packages.with_name("packages-for-rhel")
    shutil.copytree(directory, overlay.directory / "upper" / directory.name)
    installation.install_for_rhel(overlay.run)
    debian_image.write(overlay.directory / "upper", installation.FILES)
    with boot(overlay) as machine:
        yield machine


def test_only_nestd_imports_it(rhel: Container) -> None:
    said = rhel.run("python3", "-c", "import dbus_next")
    assert "No module named 'dbus_next'" in said.stderr
    place = rhel.output("python3", "-c", OWNER).strip()
    assert place.endswith("/nestd/dbus/connection/bundled/dbus_next/__init__.py")


def test_nestd_and_nestctl_run_with_it(rhel: Container) -> None:
    assert rhel.property("ActiveState") == "active"
    found = rhel.output(
        "busctl", "get-property", "org.nestd1", "/org/nestd1", "org.nestd1.Manager", "Version"
    )
    assert found.startswith("s ")
    assert "kvm_intel, loaded" in rhel.output("nestctl", "status", user="somebody")


def test_a_change_is_made_with_it(rhel: Container) -> None:
    call = ("org.nestd1", "/org/nestd1/module/kvm_intel", "org.nestd1.Module", "SetNested")
    rhel.output("busctl", "call", *call, "bsa{sv}", "true", "boot", "0")
    assert "nested=1" in rhel.file("/etc/modprobe.d/kvm.conf").read_text()

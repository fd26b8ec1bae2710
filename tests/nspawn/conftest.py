# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds this checkout's packages, installs each in its own root, and boots that."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import building
import container
import container_image
import debian_image
import installation
import pytest
import tiers
from container import Boot, Container, Overlay

CHECKOUT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def images(record_testsuite_property: Callable[[str, object], None]) -> Path:
    """The directory with the roots base/, build/ and lint/."""
    if not container_image.directory().exists() and os.geteuid() != 0:
        tiers.lacking([f"the image, which root builds with {container_image.__file__}"])
    started = time.monotonic()
    try:
        directory = container_image.build()
    except debian_image.BuildError as error:
        pytest.fail(str(error), pytrace=False)
    record_testsuite_property("image", f"{time.monotonic() - started:.0f} s")
    return directory


@pytest.fixture(scope="session")
def build_root(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Overlay:
    """The root in which packages are built."""
    return Overlay(images / "build", tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def dbus_next(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the source of dbus-next for the bundling RPM."""
    directory = tmp_path_factory.mktemp("dbus-next")
    building.add_dbus_next(directory)
    return directory


@pytest.fixture(scope="session")
def packages(
    build_root: Overlay,
    dbus_next: Path,
    record_testsuite_property: Callable[[str, object], None],
) -> Path:
    """A directory with this checkout's packages of both kinds; those for RHEL are beside it."""
    started = time.monotonic()
    # Only one build runs the tests: the others would run the same on the same Python.
    building.build_package(build_root, "/packages", "rpm", dbus_next)
    building.build_package(build_root, "/packages", "deb", dbus_next, "--no-check")
    building.build_package(
        build_root, "/packages-for-rhel", "rpm", dbus_next, "--no-check", "--bundled"
    )
    record_testsuite_property("packages", f"{time.monotonic() - started:.0f} s")
    return build_root.directory / "upper" / "packages"


@pytest.fixture(scope="session")
def lint_root(images: Path, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Overlay:
    """The root in which packages are checked; they are in /packages and /packages-for-rhel."""
    overlay = Overlay(images / "lint", tmp_path_factory.mktemp("lint"))
    for each in (packages, packages.with_name("packages-for-rhel")):
        shutil.copytree(each, overlay.directory / "upper" / each.name)
    return overlay


@pytest.fixture(scope="session")
def fake_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fake /sys/module: a container cannot load modules, and sees different ones on each host."""
    directory = tmp_path_factory.mktemp("sys-module")
    (directory / "kvm_intel" / "parameters").mkdir(parents=True)
    (directory / "kvm_intel" / "initstate").write_text("live\n")
    (directory / "kvm_intel" / "refcnt").write_text("0\n")
    (directory / "kvm_intel" / "parameters" / "nested").write_text("N\n")
    return directory


@pytest.fixture(scope="session")
def boot(fake_modules: Path) -> Boot:
    """A function that boots a root."""
    return lambda overlay: container.boot(overlay, (f"{fake_modules}:/sys/module",))


@pytest.fixture(scope="session")
def prepare(
    images: Path, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Path], Overlay]:
    """Makes a root with the package of that kind installed, which was never booted."""

    @functools.cache
    def installed(kind: str) -> Path:
        overlay = Overlay(images / "base", tmp_path_factory.mktemp(f"installed-{kind}"))
        shutil.copytree(packages, overlay.directory / "upper" / "packages")
        installation.install(kind, overlay.run)
        debian_image.write(overlay.directory / "upper", installation.FILES)
        return overlay.directory / "upper"

    def make(kind: str, directory: Path) -> Overlay:
        # Unlike shutil, cp keeps owners.
        subprocess.run(["cp", "--archive", str(installed(kind)), str(directory)], check=True)
        return Overlay(images / "base", directory)

    return make


@pytest.fixture(scope="session", params=installation.KINDS)
def machine(
    request: pytest.FixtureRequest,
    prepare: Callable[[str, Path], Overlay],
    boot: Boot,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Container]:
    """A booted machine with nestd installed, one for each kind of package."""
    overlay = prepare(request.param, tmp_path_factory.mktemp(request.param))
    with boot(overlay) as booted:
        yield booted

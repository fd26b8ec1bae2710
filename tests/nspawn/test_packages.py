# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packages as they are, before they are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from container import Overlay

import nestd

pytestmark = pytest.mark.nspawn

# Where distributions differ, and what one of them adds.
PLACES = (
    ("./lib/systemd/system/", "./usr/lib/systemd/system/"),
    ("/doc/nestd-0.1.0/", "/doc/nestd/"),
    ("/zsh/vendor-completions/", "/zsh/site-functions/"),
)
RELEASE = f"{nestd.__version__}-1"
# What the RPMs ask for, as Debian's rpmbuild makes them: the tests install them with --nodeps.
RPM_REQUIRES = {
    "nestd": {
        "/bin/sh",
        "/usr/bin/python3",
        f"config(nestd) = {RELEASE}",
        "dbus-common",
        "kmod",
        "python3 >= 3.9",
        "python3-configobj",
        "python3-dbus-next = 0.2.3",
        "python3-defusedxml",
        "python3-pyudev",
        "systemd",
    },
    "nestctl": {"/usr/bin/python3", f"nestd = {RELEASE}", "python3-rich >= 12.3"},
}
OWN = ("dist-info", "__pycache__", "/changelog.Debian", "/copyright", "/licenses/", "/lintian/")


def test_rpmlint_finds_nothing(build_root: Overlay, packages: Path) -> None:
    files = "/packages/*.rpm /src/packaging/nestd.spec"
    command = f"rpmlint --rpmlintrc /src/packaging/nestd.rpmlintrc {files}"
    said = build_root.run("sh", "-c", command, binds=_checkout())
    assert "0 errors, 0 warnings" in said, said


def test_lintian_finds_nothing(build_root: Overlay, packages: Path) -> None:
    command = "lintian --allow-root --fail-on error,warning --info /packages/*.deb"
    said = build_root.run("sh", "-c", command)
    assert "W: " not in said, said


def test_both_kinds_have_the_same_files(build_root: Overlay, packages: Path) -> None:
    command = "rpm --query --package --list --noghost /packages/*.noarch.rpm"
    rpm = build_root.run("sh", "-c", command)
    deb = build_root.run("sh", "-c", "for p in /packages/*.deb; do dpkg --contents $p; done")
    in_deb = {line.split()[-1] for line in deb.splitlines() if line.startswith("-")}
    in_rpm = {f".{line}" for line in rpm.splitlines() if line.startswith("/")}
    directories = {path for path in in_rpm if any(each.startswith(path + "/") for each in in_rpm)}
    assert _named_alike(in_rpm - directories) == _named_alike(in_deb)


@pytest.mark.parametrize("name", RPM_REQUIRES)
def test_what_an_rpm_asks_for(name: str, build_root: Overlay, packages: Path) -> None:
    line = r"[%{=NAME}: %{REQUIRENEVRS}\n]"
    said = build_root.run("sh", "-c", f"rpm -qp --queryformat '{line}' /packages/*.noarch.rpm")
    found = set(re.findall(rf"^{name}: (.*)$", said, re.MULTILINE))
    assert {each for each in found if not each.startswith("rpmlib(")} == RPM_REQUIRES[name]


def test_files_of_others_are_in_no_package(build_root: Overlay, packages: Path) -> None:
    rpm = build_root.run("sh", "-c", "rpm --query --package --list /packages/*.noarch.rpm")
    deb = build_root.run("sh", "-c", "for p in /packages/*.deb; do dpkg --contents $p; done")
    assert "nestd.conf" in rpm
    assert "nestd.conf" in deb
    for listing in (rpm, deb):
        assert "modprobe.d" not in listing
        assert "etc/libvirt" not in listing


def _named_alike(paths: set[str]) -> set[str]:
    alike = set()
    for path in paths:
        if not any(part in path for part in OWN):
            for place, everywhere in PLACES:
                path = path.replace(place, everywhere)
            alike.add(path.removesuffix(".gz"))
    return alike


def _checkout() -> tuple[str, ...]:
    return (f"{Path(__file__).resolve().parent.parent.parent}:/src",)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packages themselves, before installation."""

from __future__ import annotations

import re
from pathlib import Path

import building
import pytest
from container import Overlay

import nestd

pytestmark = pytest.mark.nspawn

# Parts of paths that differ between distributions, and the form to compare.
PLACES = (
    ("./lib/systemd/system/", "./usr/lib/systemd/system/"),
    (f"-{nestd.__version__}/README.md", "/README.md"),
    (f"/doc/nestd-{nestd.__version__}/", "/doc/nestd/"),
    ("/zsh/vendor-completions/", "/zsh/site-functions/"),
)
RELEASE = f"{nestd.__version__}-1"
# The RPMs' requirements, as built by Debian's rpmbuild: the tests install them with --nodeps.
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
    "nestctl": {"/bin/sh", "/usr/bin/python3", f"nestd = {RELEASE}", "python3-rich >= 12.3"},
    "ansible-collection-nestd-kvm": {"ansible-core >= 2.14"},
}
# The RPM's requirements in RHEL 9 and 10, by repository; the spec names the lists.
IN_RHEL = {
    "ansible-core",
    "dbus-common",
    "kmod",
    "systemd",
    "python3",
    "python3-configobj",
    "python3-pyudev",
}
IN_EPEL = {"python3-defusedxml", "python3-rich"}
# lintian's tags for a placeholder maintainer: correct until DEBEMAIL names the releaser.
WITHOUT_DEBEMAIL = ("bogus-mail-host", "bogus-mail-host-in-debian-changelog", "root-in-contact")
OWN = (
    "dist-info",
    "__pycache__",
    "/changelog.Debian",
    "/copyright",
    "/licenses/",
    "/lintian/",
)


def test_rpmlint_finds_nothing(lint_root: Overlay) -> None:
    """Both builds at once: some filters apply to only one of them."""
    files = "/packages/*.rpm /packages-for-rhel/*.noarch.rpm /src/packaging/nestd.spec"
    command = f"rpmlint --rpmlintrc /src/packaging/nestd.rpmlintrc {files}"
    said = lint_root.run("sh", "-c", command, binds=_checkout())
    assert "0 errors, 0 warnings" in said, said


def test_lintian_finds_nothing(lint_root: Overlay) -> None:
    command = "lintian --allow-root --fail-on error,warning --info "
    command += f"--suppress-tags {','.join(WITHOUT_DEBEMAIL)} /packages/*.deb"
    said = lint_root.run("sh", "-c", command)
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
    assert _required("/packages", name, build_root) == RPM_REQUIRES[name]


@pytest.mark.parametrize("name", RPM_REQUIRES)
def test_what_an_rpm_asks_for_on_rhel(name: str, build_root: Overlay, packages: Path) -> None:
    own = {f"config(nestd) = {RELEASE}", f"nestd = {RELEASE}", "/bin/sh", "/usr/bin/python3"}
    names = {each.split()[0] for each in _required("/packages-for-rhel", name, build_root) - own}
    assert names == {each.split()[0] for each in RPM_REQUIRES[name] - own} - {"python3-dbus-next"}
    assert names <= IN_RHEL | IN_EPEL


def test_the_rpm_for_rhel_says_what_is_in_it(build_root: Overlay, packages: Path) -> None:
    query = "rpm -qp --provides --licensefiles --queryformat '%{LICENSE}\n'"
    said = build_root.run("sh", "-c", f"{query} /packages-for-rhel/nestd-*.noarch.rpm").split("\n")
    assert "bundled(python3dist(dbus-next)) = 0.2.3" in said
    assert "LGPL-2.1-or-later AND MIT" in said
    assert any(line.endswith("/LICENSE.dbus-next") for line in said)
    assert not any("python3dist(dbus-next)" in line for line in said if "bundled" not in line)


def test_two_builds_are_the_same_to_the_byte(
    build_root: Overlay, packages: Path, dbus_next: Path
) -> None:
    again = ("--no-check",)
    building.build_package(build_root, "/again", "deb", dbus_next, *again)
    building.build_package(build_root, "/again-for-rhel", "rpm", dbus_next, "--bundled", *again)
    first = {path.name: path.read_bytes() for path in packages.glob("*.deb")}
    assert first == _contents(packages.with_name("again"))
    assert _contents(packages.with_name("packages-for-rhel")) == _contents(
        packages.with_name("again-for-rhel")
    )


def test_files_of_others_are_in_no_package(build_root: Overlay, packages: Path) -> None:
    rpm = build_root.run("sh", "-c", "rpm --query --package --list /packages/*.noarch.rpm")
    deb = build_root.run("sh", "-c", "for p in /packages/*.deb; do dpkg --contents $p; done")
    assert "nestd.conf" in rpm
    assert "nestd.conf" in deb
    for listing in (rpm, deb):
        assert "modprobe.d" not in listing
        assert "etc/libvirt" not in listing


def _contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def _required(directory: str, name: str, root: Overlay) -> set[str]:
    line = r"[%{=NAME}: %{REQUIRENEVRS}\n]"
    said = root.run("sh", "-c", f"rpm -qp --queryformat '{line}' {directory}/*.noarch.rpm")
    found = set(re.findall(rf"^{name}: (.*)$", said, re.MULTILINE))
    return {each for each in found if not each.startswith("rpmlib(")}


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

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the roots of the nspawn tier: a small Debian to install nestd in, and two to build in.

    tests/nspawn/container_image.py     as root: builds them if need be, prints their directory

base/ boots systemd with polkit; the packages that nestd depends on are downloaded in it but not
installed, so that apt, without a network, resolves the .deb's dependencies. build/ is a minimal
Debian with only what the command in packaging/build.py installs, so that an undeclared build
dependency makes the build fail. lint/ is build/ with the package checkers.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for running it by hand

import debian_image  # noqa: E402

CACHE = HERE.parent.parent / ".cache" / "nspawn"
CONTROL = HERE.parent.parent / "packaging" / "debian" / "control"

BASE = (
    "dbus",
    "dbus-broker",
    "polkitd",
    "procps",
    "rpm",
    "systemd",
    "systemd-sysv",
)
# The RPM's dependencies, by their names in Debian; dpkg knows those of the .deb.
DEPENDENCIES = (
    "kmod",
    "python3",
    "python3-configobj",
    "python3-dbus-next",
    "python3-defusedxml",
    "python3-pyudev",
    "python3-rich",
)
# What Ansible needs to install packages on a machine.
MANAGED = ("python3-apt",)
LINTERS = ("lintian", "rpmlint")

FILES = {
    "etc/hostname": "nestd-test\n",
    # Without an ID each boot is a "first boot", which applies presets again.
    "etc/machine-id": "6e657374642d7465737420696d616765\n",
    "etc/resolv.conf": "",
}

# These would only cost time at boot, or start in the middle of a test.
MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-logind.service",
)

# The bus is dbus-daemon until a test enables dbus-broker. The users are an administrator by
# polkit's rules, and an ordinary one.
FINISH = f"""
set -eux
systemctl disable dbus-broker.service
systemctl mask {" ".join(MASKED)}
useradd --no-create-home admin
useradd --no-create-home somebody
"""


def directory() -> Path:
    """The roots' directory, which exists once they have been built."""
    return CACHE / debian_image.key([Path(__file__), CONTROL])


def build() -> Path:
    """Builds the roots if absent. Needs root. Raises BuildError."""
    return debian_image.build(directory(), _make)


def _make(work: Path) -> None:
    _make_base(work, work / "base")
    _make_build(work, work / "build", work / "lint")


def _make_base(work: Path, root: Path) -> None:
    hooks = [
        f'chroot "$1" sh -c {shlex.quote(FINISH)}',
        f"{_APT} --download-only install {' '.join((*DEPENDENCIES, *MANAGED))}",
    ]
    # With apt's lists and downloaded packages.
    _install(work, root, BASE, hooks, "--skip=cleanup/apt")
    debian_image.write(root, FILES)


def _make_build(work: Path, build: Path, lint: Path) -> None:
    # No declared package contains a C compiler, and nothing here needs one.
    without = "printf '#clear APT::Build-Essential;\\n' >> "
    hooks = [
        f'{without}"$MMDEBSTRAP_APT_CONFIG"',
        f"{_APT} build-dep {shlex.quote(str(CONTROL.parents[1]))}",
        f'cp --archive --one-file-system "$1" {shlex.quote(str(build))}',
        f"{_APT} install {' '.join(LINTERS)}",
    ]
    _install(work, lint, ["rpm"], hooks)


_APT = (
    'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --no-install-recommends'
    ' -oDPkg::Chroot-Directory="$1"'
)


def _install(
    work: Path, root: Path, names: Sequence[str], hooks: Sequence[str], *options: str
) -> None:
    debian_image.install(
        work,
        root,
        "--include=" + ",".join(names),
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *options,
        *(f"--customize-hook={hook}" for hook in hooks),
    )


if __name__ == "__main__":
    print(build())

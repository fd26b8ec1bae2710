#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the roots of the nspawn tier: a small Debian to install nestd in, and one to build it.

    tests/nspawn/container_image.py     as root: builds them if need be, prints their directory

base/ boots systemd with dbus and polkit; the packages that nestd depends on are downloaded in it
but not installed, so that apt without a network finds out what the .deb asks for. build/ is base/
with what debian/control asks for to build, so that what is missing there is missed, and with what
checks packages.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for running it by hand

import debian_image  # noqa: E402

CACHE = HERE.parent.parent / ".cache" / "nspawn"
CONTROL = HERE.parent.parent / "packaging" / "debian" / "control"

BASE = (
    "dbus",
    "dbus-broker",
    "kmod",
    "polkitd",
    "procps",
    "python3",
    "rpm",
    "systemd",
    "systemd-sysv",
)
DEPENDENCIES = (
    "python3-configobj",
    "python3-dbus-next",
    "python3-defusedxml",
    "python3-pyudev",
    "python3-rich",
)
LINTERS = ("lintian", "rpmlint")

FILES = {
    "etc/hostname": "nestd-test\n",
    # Without an id each boot is a "first boot", which applies presets again.
    "etc/machine-id": "6e657374642d7465737420696d616765\n",
    "etc/resolv.conf": "",
}

# What would only cost time at boot, or start in the middle of a test.
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

# The bus is dbus-daemon until somebody enables dbus-broker. For an administrator by polkit's rules,
# and somebody.
FINISH = f"""
set -eux
systemctl disable dbus-broker.service
systemctl mask {" ".join(MASKED)}
useradd --no-create-home admin
useradd --no-create-home somebody
"""


def directory() -> Path:
    """Where the roots are, or will be once they have been built."""
    return CACHE / debian_image.key([Path(__file__), CONTROL])


def build() -> Path:
    """Builds the roots unless they are there. Needs root. Raises BuildError."""
    return debian_image.build(directory(), _make)


def _make(work: Path) -> None:
    root, base = work / "build", work / "base"
    build = " ".join((*_build_dependencies(), *LINTERS))
    apt = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --no-install-recommends'
    hooks = [
        f'chroot "$1" sh -c {shlex.quote(FINISH)}',
        f"{apt} --download-only install {' '.join(DEPENDENCIES)}",
        f'cp --archive --one-file-system "$1" {shlex.quote(str(base))}',
        f'{apt} -oDPkg::Chroot-Directory="$1" install {build}',
    ]
    debian_image.install(
        work,
        root,
        "--include=" + ",".join(BASE),
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *(f"--customize-hook={hook}" for hook in hooks),
    )
    debian_image.write(base, FILES)
    # Forbids package managers to start and stop services; mmdebstrap removes it from build/ only.
    (base / "usr/sbin/policy-rc.d").unlink()


def _build_dependencies() -> list[str]:
    """The names in debian/control; which versions are right is for dpkg-buildpackage to say."""
    [field] = re.findall(r"^Build-Depends:((?:.*\n )*.*)", CONTROL.read_text(), re.MULTILINE)
    return [entry.split()[0] for entry in field.split(",")]


if __name__ == "__main__":
    print(build())

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the root of the tier confined: Debian's SELinux policy, and policy compilers.

tests/confined/policy_image.py     as root: builds it if absent, prints its directory
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for running it by hand

import debian_image  # noqa: E402

CHECKOUT = HERE.parents[1]
CACHE = CHECKOUT / ".cache" / "confined"
PACKAGES = (
    "apparmor",
    "checkpolicy",
    "gawk",
    "m4",
    "make",
    "python3-setools",
    "selinux-policy-dev",
    "semodule-utils",
)


# Unpacked only: the installation scripts take minutes, and are for a system that uses it.
POLICY = "selinux-policy-default"
_UNPACK = f"""
APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --no-install-recommends --download-only \\
    -oDPkg::Chroot-Directory="$1" install {POLICY}
dpkg-deb --extract "$1"/var/cache/apt/archives/{POLICY}_*.deb "$1"
"""


def directory() -> Path:
    """The root's directory, which exists once it has been built."""
    return CACHE / debian_image.key([Path(__file__)])


def build() -> Path:
    """Builds the root if absent. Needs root. Raises BuildError."""

    def make(work: Path) -> None:
        include = "--include=" + ",".join(PACKAGES)
        debian_image.install(work, work / "root", include, f"--customize-hook={_UNPACK}")

    return debian_image.build(directory(), make) / "root"


if __name__ == "__main__":
    print(build())

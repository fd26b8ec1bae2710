#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the root of the tier confined: Debian's SELinux policy, and what compiles policies.

tests/confined/policy_image.py     as root: builds it if need be, prints its directory
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
    "selinux-policy-default",
    "selinux-policy-dev",
    "semodule-utils",
)


def directory() -> Path:
    """Where the root is, or will be once it has been built."""
    return CACHE / debian_image.key([Path(__file__)])


def build() -> Path:
    """Builds the root unless it is there. Needs root. Raises BuildError."""

    def make(work: Path) -> None:
        debian_image.install(work, work / "root", "--include=" + ",".join(PACKAGES))

    return debian_image.build(directory(), make) / "root"


if __name__ == "__main__":
    print(build())

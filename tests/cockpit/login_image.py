# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Debian system with Cockpit as installed: systemd, PAM, polkit, sudo, and two users.

It can also build nestd's packages, which a test then installs.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import debian_image

CHECKOUT = Path(__file__).parents[2]
CACHE = CHECKOUT / ".cache/cockpit-image"
CONTROL = CHECKOUT / "packaging/debian/control"
PASSWORD = "not-a-secret"
ADMIN, USER = "ann", "bob"

PACKAGES = (
    *("cockpit-bridge", "cockpit-system", "cockpit-ws", "openssl"),
    *("dbus", "libpam-systemd", "polkitd", "sudo", "systemd-sysv"),
    *("kmod", "python3-configobj", "python3-dbus-next", "python3-defusedxml", "python3-pyudev"),
    "python3-rich",
)
# These would only cost time at boot.
_MASKED = (
    *("apt-daily-upgrade.timer", "apt-daily.timer", "console-getty.service"),
    *("dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer"),
)
_FINISH = f"""
set -eux
systemctl mask {" ".join(_MASKED)}
systemctl enable cockpit.socket
useradd --create-home --shell /bin/bash --groups sudo {ADMIN}
useradd --create-home --shell /bin/bash {USER}
printf '%s:{PASSWORD}\\n' {ADMIN} {USER} | chpasswd
"""
_BUILD_DEPENDENCIES = (
    "printf '#clear APT::Build-Essential;\\n' >> \"$MMDEBSTRAP_APT_CONFIG\";"
    ' APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --no-install-recommends'
    ' -oDPkg::Chroot-Directory="$1" --build-profiles nocheck build-dep '
    + shlex.quote(str(CONTROL.parents[1]))
)
_FILES = {
    "etc/hostname": "nestd-test\n",
    "etc/machine-id": "6e657374642d7465737420636f636b70\n",
}


def build() -> Path:
    """The image's root directory, built if absent. Needs root. Raises BuildError."""
    image = CACHE / debian_image.key([Path(__file__), CONTROL])
    return debian_image.build(image, _make) / "root"


def _make(work: Path) -> None:
    hooks = (_BUILD_DEPENDENCIES, f'chroot "$1" sh -c {shlex.quote(_FINISH)}')
    debian_image.install(
        *(work, work / "root", "--include=" + ",".join(PACKAGES)),
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *(f"--customize-hook={hook}" for hook in hooks),
    )
    debian_image.write(work / "root", _FILES)

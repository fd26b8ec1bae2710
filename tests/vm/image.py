#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the disk image of the vm tier: a small Debian with systemd, udev, polkit and libvirt.

    tests/vm/image.py        as root: builds it if absent (minutes), prints its directory

A boot must not write to it (QEMU's snapshot=on).

Its directory holds disk.img (ext4, no partitions), vmlinuz, initrd.img and build.log. The guest
mounts the 9p share tagged "share" on /run/share, runs run.sh from there as root, and powers off.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for running it by hand

import debian_image  # noqa: E402

CACHE = HERE.parent.parent / ".cache" / "vm"

PACKAGES = (
    "dbus",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "libvirt-clients",
    "libvirt-daemon-system",
    "linux-headers-amd64",
    "linux-image-amd64",
    "make",
    "polkitd",
    "procps",
    "python3",
    "python3-configobj",
    "python3-dbus-next",
    "python3-defusedxml",
    "python3-installer",
    "python3-pytest",
    "python3-pytest-timeout",
    "python3-pyudev",
    "qemu-system-x86",
    "strace",
    "systemd",
    "systemd-sysv",
    "udev",
)

# Files that no test reads, and drivers without a QEMU device: this saves build and boot time.
EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/lib/modules/*/kernel/drivers/gpu/*",
    "/lib/modules/*/kernel/drivers/iio/*",
    "/lib/modules/*/kernel/drivers/infiniband/*",
    "/lib/modules/*/kernel/drivers/media/*",
    "/lib/modules/*/kernel/drivers/net/ethernet/*",
    "/lib/modules/*/kernel/drivers/net/wireless/*",
    "/lib/modules/*/kernel/drivers/staging/*",
    "/lib/modules/*/kernel/sound/*",
)

# In place before the kernel is installed: an initramfs with only the root disk's drivers.
BEFORE_PACKAGES = {
    "etc/initramfs-tools/conf.d/small": "MODULES=list\nCOMPRESS=gzip\n",
    "usr/share/initramfs-tools/modules.d/small": "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n",
}

AFTER_PACKAGES = {
    "etc/hosts": "127.0.0.1 localhost nestd-test\n",
    "etc/systemd/system/share.service": """\
[Unit]
Description=The script on the host's share
After=dbus.service libvirtd.service systemd-udev-trigger.service

[Service]
# Not oneshot: no unit may wait for the end of the tests, which start and stop units.
Type=exec
ExecStartPre=/bin/mkdir -p /run/share
ExecStartPre=/bin/mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 share /run/share
ExecStart=/bin/sh /run/share/run.sh
ExecStopPost=/sbin/poweroff -ff
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
""",
}

# Files that mmdebstrap clears or copies from this machine. The ID is any valid one: without it each
# boot is a "first boot", which enables and resets units.
LAST = {
    "etc/hostname": "nestd-test\n",
    "etc/machine-id": "6e657374642d7465737420696d616765\n",
    "etc/resolv.conf": "",
}

# These would only cost time at boot, or start in the middle of a test.
MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "libvirt-guests.service",
    "serial-getty@ttyS0.service",
)

# The stubs go below updates/, which depmod prefers. The kvm_intel that they replace could not load:
# QEMU emulates a CPU with SVM.
FINISH = f"""
set -eux
systemctl mask {" ".join(MASKED)}
systemctl enable share.service
version=$(basename /lib/modules/*-amd64)
make -C "/lib/modules/$version/build" M=/usr/src/stubs modules
mkdir -p "/lib/modules/$version/updates"
cp /usr/src/stubs/*.ko "/lib/modules/$version/updates"
depmod "$version"
"""


def directory() -> Path:
    """The image's directory, which exists once it has been built."""
    return CACHE / debian_image.key([Path(__file__), *sorted((HERE / "stubs").iterdir())])


def build() -> Path:
    """Builds the image if absent. Needs root. Raises BuildError."""
    return debian_image.build(directory(), _make)


def _make(work: Path) -> None:
    root = work / "root"
    _install_packages(work, root)
    debian_image.write(root, LAST)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), work / "vmlinuz")
    shutil.copy(next(root.glob("boot/initrd.img-*")), work / "initrd.img")
    debian_image.run(work, "mkfs.ext4", "-q", "-d", str(root), str(work / "disk.img"), "6G")
    for directory in (root, work / "before", work / "after"):
        shutil.rmtree(directory)


def _install_packages(work: Path, root: Path) -> None:
    debian_image.write(work / "before", BEFORE_PACKAGES)
    debian_image.write(work / "after", AFTER_PACKAGES)
    shutil.copytree(HERE / "stubs", work / "after/usr/src/stubs")
    debian_image.install(
        work,
        root,
        "--include=" + ",".join(PACKAGES),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        f"--essential-hook=sync-in {shlex.quote(str(work / 'before'))} /",
        f"--customize-hook=sync-in {shlex.quote(str(work / 'after'))} /",
        f'--customize-hook=chroot "$1" sh -c {shlex.quote(FINISH)}',
    )


if __name__ == "__main__":
    print(build())

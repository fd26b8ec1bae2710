#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the disk image of the vm tier: a small Debian with systemd, udev, polkit and libvirt.

    tests/vm/image.py        as root: builds it if need be (minutes), prints its directory

Debian packages are all that is downloaded, from the apt sources of this machine. The image holds
nothing of nestd: it stays good while nestd changes, and is kept below .cache/ under a hash of
what it is made from. A boot must not write to it (QEMU's snapshot=on).

Its directory holds disk.img (ext4, no partitions), vmlinuz, initrd.img and build.log. The guest
mounts the 9p share tagged "share" on /run/share, runs run.sh from there as root, and powers off.
"""

from __future__ import annotations

import fcntl
import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "vm"
SUITE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

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

# What no test reads, and drivers for which QEMU has no device: saves build and boot time.
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

# In place before the kernel is: an initramfs of the root disk's drivers alone.
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

# What mmdebstrap clears or copies from this machine. The id is any valid one: without it each
# boot is a "first boot", which enables and resets units.
LAST = {
    "etc/hostname": "nestd-test\n",
    "etc/machine-id": "6e657374642d7465737420696d616765\n",
    "etc/resolv.conf": "",
}

# What would only cost time at boot, or start in the middle of a test.
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

# The stubs go below updates/, which depmod prefers. The kvm_intel they stand in front of could
# not load: the CPU that QEMU emulates is one with SVM.
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


class BuildError(Exception):
    """A program failed; the message has the end of its output."""


def key() -> str:
    """The name of the image: changes with everything that it is made from."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted((HERE / "stubs").iterdir())):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def directory() -> Path:
    """Where the image is, or will be once it has been built."""
    return CACHE / key()


def build() -> Path:
    """Builds the image unless it is there, and removes those of former keys. Needs root.

    Raises BuildError if a step fails.
    """
    image = directory()
    CACHE.mkdir(parents=True, exist_ok=True)
    with _one_builder():
        if not image.exists():
            for former in CACHE.iterdir():
                if former.is_dir():
                    shutil.rmtree(former)
            work = image.with_suffix(".new")
            work.mkdir()
            _make(work)
            work.rename(image)
    return image


@contextmanager
def _one_builder() -> Iterator[None]:
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(work: Path) -> None:
    root = work / "root"
    _install_packages(work, root)
    _write(root, LAST)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), work / "vmlinuz")
    shutil.copy(next(root.glob("boot/initrd.img-*")), work / "initrd.img")
    _run(work, "mkfs.ext4", "-q", "-d", str(root), str(work / "disk.img"), "6G")
    for directory in (root, work / "before", work / "after"):
        shutil.rmtree(directory)


def _install_packages(work: Path, root: Path) -> None:
    _write(work / "before", BEFORE_PACKAGES)
    _write(work / "after", AFTER_PACKAGES)
    shutil.copytree(HERE / "stubs", work / "after/usr/src/stubs")
    # In a mount namespace, so that nothing stays mounted below the cache if it is killed.
    command = ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase"]
    command += ["--format=directory"]
    command += ["--include=" + ",".join(PACKAGES)]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    command += [f"--essential-hook=sync-in {shlex.quote(str(work / 'before'))} /"]
    command += [f"--customize-hook=sync-in {shlex.quote(str(work / 'after'))} /"]
    command += [f'--customize-hook=chroot "$1" sh -c {shlex.quote(FINISH)}']
    command += [f"--keyring={KEYRING}"] if KEYRING.exists() else []
    command += [SUITE, str(root)]
    every, main = _apt_sources(SUITE), _apt_sources(SUITE, updates=False)
    # A mirror is now and then caught in the middle of an update: once more, then do without.
    for sources in (every, every):
        try:
            return _run(work, *command, *sources)
        except BuildError:
            shutil.rmtree(root, ignore_errors=True)
    _run(work, *command, *main)


def _apt_sources(suite: str, updates: bool = True) -> list[str]:
    """This machine's sources of that Debian release, as one-line entries; none elsewhere."""
    if shutil.which("apt-get") is None:
        return []
    entry = "$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", entry, "Created-By: Packages"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    entries = set()
    for line in lines.splitlines():
        origin, codename, source = line.split(" ", 2)
        if origin == "Debian" and (codename == suite or (updates and codename.startswith(suite))):
            entries.add(source)
    return sorted(entries)


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)


def _run(work: Path, *command: str) -> None:
    path = work / "build.log"
    with open(path, "ab") as log:
        log.write(f"+ {shlex.join(command)}\n".encode())
        log.flush()
        done = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = path.read_text(errors="replace").splitlines()[-30:]
        raise BuildError("\n".join([f"The image cannot be built; the end of {path}:", *lines]))


if __name__ == "__main__":
    print(build())

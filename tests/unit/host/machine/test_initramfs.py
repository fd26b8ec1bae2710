# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where initramfs images are searched, and the result for one that was not inspected."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from nestd.host.machine import initramfs
from nestd.host.machine.initramfs import Initramfs, look
from nestd.host.root import Root

RELEASE = "6.12.9-1"
MOUNT = "36 25 0:32 / {} rw,relatime shared:1 - {} systemd-1 rw,fd=57\n"
HOLDS, HOLDS_NOT = "kernel/arch/x86/kvm/kvm-intel.ko.xz", "kernel/fs/ext4.ko"


@pytest.fixture(autouse=True)
def lister(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An lsinitrd for images that consist of their own file list."""
    directory = tmp_path_factory.mktemp("bin")
    program = directory / "lsinitrd"
    program.write_text('#!/bin/sh\nexec cat "$1"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(initramfs, "_LISTERS", (str(program),))


def find(root: Path, files: dict[str, str]) -> Initramfs:
    for path, text in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return asyncio.run(look(Root(root), RELEASE, "kvm_intel"))


@pytest.mark.parametrize(
    "path",
    [
        f"/boot/initramfs-{RELEASE}.img",
        f"/boot/initrd.img-{RELEASE}",
        f"/boot/initrd-{RELEASE}",
        f"/boot/ostree/fedora-4f0a/initramfs-{RELEASE}.img",
        f"/boot/4a1b/{RELEASE}/initrd",
        f"/efi/4a1b/{RELEASE}/initrd",
        f"/boot/efi/4a1b/{RELEASE}/initrd",
        f"/usr/lib/modules/{RELEASE}/initramfs.img",
        f"/lib/modules/{RELEASE}/initramfs-{RELEASE}.img",
        f"/efi/EFI/Linux/4a1b-{RELEASE}.efi",
        f"/boot/efi/EFI/Linux/4a1b-{RELEASE}+3.efi",
        f"/boot/EFI/Linux/{RELEASE}.efi",
    ],
)
def test_a_copy_is_found_where_distributions_put_it(tmp_path: Path, path: str) -> None:
    assert find(tmp_path, {path: HOLDS}) == Initramfs(path, True)
    assert find(tmp_path, {path: f"{HOLDS_NOT} longer"}) == Initramfs(path, False)


def test_an_image_of_arch_is_named_after_its_package(tmp_path: Path) -> None:
    files = {f"/usr/lib/modules/{RELEASE}/pkgbase": "linux-lts\n"}
    assert find(tmp_path, {**files, "/boot/initramfs-linux-lts.img": HOLDS}).holds


def test_one_of_several_images_holds_it(tmp_path: Path) -> None:
    copy = f"/efi/EFI/Linux/4a1b-{RELEASE}.efi"
    found = find(tmp_path, {f"/boot/initramfs-{RELEASE}.img": HOLDS_NOT, copy: HOLDS})
    assert found == Initramfs(copy, True)


def test_images_of_other_kernels_do_not_count(tmp_path: Path) -> None:
    found = find(tmp_path, {"/boot/initramfs-6.1.0.img": HOLDS, "/boot/initrd.img-6.1.0": HOLDS})
    assert found == Initramfs()


def test_a_unified_image_that_does_not_tell_its_kernel_is_not_looked_into(tmp_path: Path) -> None:
    image = "/efi/EFI/Linux/arch-linux.efi"
    found = find(tmp_path, {image: HOLDS, f"/boot/initrd.img-{RELEASE}": HOLDS_NOT})
    assert found == Initramfs(f"/boot/initrd.img-{RELEASE}", False, (image,))


@pytest.mark.parametrize(
    ("mounts", "unseen"),
    [
        (MOUNT.format("/efi", "autofs"), ("/efi",)),
        (MOUNT.format("/boot", "autofs"), ("/boot", "/boot/efi")),
        (MOUNT.format("/efi", "autofs") + MOUNT.format("/efi", "vfat"), ()),
        (MOUNT.format("/efi", "vfat"), ()),
        (MOUNT.format("/proc/sys/fs/binfmt_misc", "autofs"), ()),
    ],
)
def test_an_automount_is_not_triggered(
    tmp_path: Path, mounts: str, unseen: tuple[str, ...]
) -> None:
    (tmp_path / "efi").mkdir()
    found = find(tmp_path, {"/boot/grub/grub.cfg": "", "/proc/self/mountinfo": mounts})
    assert found == Initramfs(unseen=unseen)

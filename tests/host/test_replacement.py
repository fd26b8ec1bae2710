# SPDX-License-Identifier: LGPL-2.1-or-later
"""Replacing a file atomically."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from nestd.host import files
from nestd.host.editing import replacement


def test_owner_mode_and_label_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 65534, 12345)
    os.setxattr(path, "user.label", b"of somebody")
    before = path.stat()
    replacement.replace(path, b"new", b"old")
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert os.getxattr(path, "user.label") == b"of somebody"
    assert os.listdir(tmp_path) == ["kvm.conf"]


def test_a_security_label_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "security.selinux", b"system_u:object_r:modules_conf_t:s0\0")
    except OSError as error:
        pytest.skip(f"needs the right to set security labels: {error.strerror}")
    replacement.replace(path, b"new", b"old")
    assert os.getxattr(path, "security.selinux") == b"system_u:object_r:modules_conf_t:s0\0"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES])
def test_a_label_that_cannot_be_kept_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """SELinux denies relabeling (EACCES), or the process lacks CAP_FOWNER (EPERM)."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    os.setxattr(path, "user.label", b"of somebody")
    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(OSError, match=r"its attribute user\.label cannot be kept") as caught:
        replacement.replace(path, b"new", b"old")
    assert caught.value.errno == number
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["kvm.conf"]


@pytest.mark.parametrize("attribute", ["security.selinux", "security.ima", "security.evm"])
def test_no_attribute_is_set_without_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    """A default attribute of new files needs no privilege; digests belong to the old content."""

    def value(place: object, name: str) -> bytes:
        if isinstance(place, int) and attribute != "security.selinux":
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        return b"system_u:object_r:modules_conf_t:s0"

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "listxattr", lambda place: [attribute])
    monkeypatch.setattr(os, "getxattr", value)
    monkeypatch.setattr(os, "setxattr", refuse)
    replacement.replace(path, b"new", b"old")
    assert path.read_bytes() == b"new"


def test_a_file_system_without_attributes_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "listxattr", refuse)
    replacement.replace(path, b"new", b"old")
    assert path.read_bytes() == b"new"


def test_a_new_file_is_0644_and_its_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "modprobe.d" / "kvm.conf"
    before = os.umask(0o077)
    try:
        replacement.replace(path, b"new", None)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o644
    for directory in (path.parent, path.parent.parent):
        assert directory.stat().st_mode & 0o7777 == 0o755


def test_a_link_is_followed(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.conf"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link = tmp_path / "kvm.conf"
    link.symlink_to(real)
    replacement.replace(link, b"new", b"old")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_temporary_names_are_nothing_to_kmod(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    prepared = replacement.prepare(path, b"new", b"old")
    assert prepared.temporary.parent == tmp_path
    assert prepared.temporary.name.startswith(".")
    assert not prepared.temporary.name.endswith(".conf")
    assert path.read_bytes() == b"old"
    prepared.discard()
    assert os.listdir(tmp_path) == ["kvm.conf"]


def test_what_an_editor_changed_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    prepared = replacement.prepare(path, b"new", b"old")
    path.write_bytes(b"of an editor")
    with pytest.raises(OSError, match="changed meanwhile") as caught:
        prepared.commit()
    assert caught.value.errno == errno.ESTALE
    assert path.read_bytes() == b"of an editor"
    assert os.listdir(tmp_path) == ["kvm.conf"]


def test_undo_gives_the_very_same_file_back(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    inode = path.stat().st_ino
    prepared = replacement.prepare(path, b"new", b"old")
    prepared.commit()
    assert path.read_bytes() == b"new"
    prepared.undo()
    assert path.read_bytes() == b"old"
    assert path.stat().st_ino == inode
    prepared.discard()
    assert os.listdir(tmp_path) == ["kvm.conf"]


def test_undo_needs_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    path.chmod(0o640)
    prepared = replacement.prepare(path, b"new", b"old")
    prepared.commit()
    prepared.discard()
    prepared.undo()
    assert path.read_bytes() == b"old"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["kvm.conf"]


def test_undo_of_a_new_file_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    prepared = replacement.prepare(path, b"new", None)
    prepared.commit()
    prepared.undo()
    assert os.listdir(tmp_path) == []


def test_undo_leaves_what_somebody_wrote_since(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    prepared = replacement.prepare(path, b"new", b"old")
    prepared.commit()
    path.write_bytes(b"of an editor")
    prepared.undo()
    prepared.discard()
    assert path.read_bytes() == b"of an editor"
    assert os.listdir(tmp_path) == ["kvm.conf"]


def test_leftovers_of_a_crash_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "kvm.conf"
    path.write_bytes(b"old")
    replacement.prepare(path, b"new", b"old")
    (tmp_path / ".other.swp").touch()
    replacement.remove_leftovers(path)
    assert sorted(os.listdir(tmp_path)) == [".other.swp", "kvm.conf"]


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A directory on a separate file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    directory = tmp_path / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=16", "tmpfs", str(directory)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    return directory


@pytest.fixture(autouse=True)
def _unmount(tmp_path: Path) -> object:
    yield
    if os.path.ismount(tmp_path / "small"):
        subprocess.run(["umount", str(tmp_path / "small")], check=True)


def test_a_full_disk_loses_nothing(mounted: Path) -> None:
    path = mounted / "kvm.conf"
    path.write_bytes(b"old")
    (mounted / "filler").write_bytes(b"\0" * (60 << 10))
    with pytest.raises(OSError, match="No space left") as caught:
        replacement.replace(path, b"n" * 8192, b"old")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert sorted(os.listdir(mounted)) == ["filler", "kvm.conf"]


def test_a_read_only_disk_loses_nothing(mounted: Path) -> None:
    path = mounted / "kvm.conf"
    path.write_bytes(b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    with pytest.raises(OSError, match="Read-only") as caught:
        replacement.replace(path, b"new", b"old")
    assert caught.value.errno == errno.EROFS
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("limit", [0, 9])
def test_a_huge_file_is_refused(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"0123456789")
    with pytest.raises(OSError, match="too large"):
        files.read_regular(path, limit)
    assert files.read_regular(path, 10) == b"0123456789"

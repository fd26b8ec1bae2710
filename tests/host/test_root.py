# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths below --root, with links that point out of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nestd.core.logs.settings.file import FileChange, read_bytes
from nestd.host.modprobe.kvm_conf import read_own
from nestd.host.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "etc/modprobe.d").mkdir(parents=True)
    (tmp_path / "srv").mkdir()
    return Root(tmp_path)


@pytest.mark.parametrize(
    "link", ["/srv/kvm.conf", "../../srv/kvm.conf", "../../../../../../../../../srv/kvm.conf"]
)
def test_links_are_read_from_inside_the_root(root: Root, link: str) -> None:
    root.at("/srv/kvm.conf").write_bytes(b"in the root")
    root.at("/etc/modprobe.d/kvm.conf").symlink_to(link)
    assert root.follow("/etc/modprobe.d/kvm.conf") == root.at("/srv/kvm.conf")
    own = read_own(root, ())
    assert (own.data, own.place) == (b"in the root", root.at("/srv/kvm.conf"))


def test_linked_directories_are_followed_too(root: Root) -> None:
    root.at("/usr").symlink_to("/srv")
    assert root.follow("/usr/lib/x") == root.at("/srv/lib/x")


def test_what_does_not_exist_leads_to_itself(root: Root) -> None:
    assert root.follow("/no/such/file") == root.at("/no/such/file")


def test_a_link_to_nowhere_is_a_problem_of_the_file(root: Root) -> None:
    root.at("/etc/modprobe.d/kvm.conf").symlink_to("/srv/nothing")
    assert read_own(root, ()).problem == "is a link that leads nowhere"


def test_a_file_that_does_not_exist_below_a_linked_directory_is_no_problem(root: Root) -> None:
    root.at("/etc/modprobe.d").rmdir()
    root.at("/etc/modprobe.d").symlink_to("/srv")
    own = read_own(root, ())
    assert (own.problem, own.data, own.place) == ("", None, root.at("/srv/kvm.conf"))


def test_a_file_of_libvirts_is_replaced_inside_the_root(root: Root, tmp_path: Path) -> None:
    outside = tmp_path / "outside.conf"
    outside.write_bytes(b"of this machine")
    inside = root.at(str(outside))
    inside.parent.mkdir(parents=True)
    inside.write_bytes(b"of the root")
    root.at("/etc/libvirtd.conf").symlink_to(outside)
    old = read_bytes(root, "/etc/libvirtd.conf")
    assert old == b"of the root"
    FileChange("/etc/libvirtd.conf", old, b"new").replacement(root).commit()
    assert (inside.read_bytes(), outside.read_bytes()) == (b"new", b"of this machine")


def test_a_circle_of_links_is_a_problem_of_the_file(root: Root) -> None:
    root.at("/etc/modprobe.d/kvm.conf").symlink_to("kvm.conf")
    with pytest.raises(OSError, match="symbolic links") as caught:
        root.follow("/etc/modprobe.d/kvm.conf")
    assert caught.value.errno == errno.ELOOP
    assert "symbolic links" in read_own(root, ()).problem


def test_an_unreadable_file_is_a_problem_of_the_file(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    root = Root(tmp_path)
    path = root.at("/etc/modprobe.d/kvm.conf")
    path.parent.mkdir(parents=True)
    path.touch(mode=0o600)
    for directory in (*path.parents,):
        if directory.is_relative_to(tmp_path.parents[1]):
            directory.chmod(0o755)
    os.seteuid(65534)
    try:
        problem = read_own(root, ()).problem
    finally:
        os.seteuid(0)
    assert problem == "Permission denied"

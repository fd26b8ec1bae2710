# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which files count, in which order; tests/differential compares with libkmod."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest
from users import acting_as, nobody

from nestd.formats.modprobe.next_load import ConfigFile
from nestd.host.modprobe.config import (
    MOST_BYTES,
    MaskedFile,
    directories,
    read_cmdline,
    read_config,
)
from nestd.host.root import Root


def write(root: Path, name: str, data: bytes = b"") -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def paths(root: Path, kmod: int = 34) -> list[str]:
    return [file.path for file in read_config(Root(root), kmod).files]


@pytest.mark.parametrize(
    ("kmod", "expected"),
    [
        (28, ["/etc", "/run", "/lib"]),
        (29, ["/etc", "/run", "/usr/local/lib", "/lib"]),
        (31, ["/etc", "/run", "/usr/local/lib", "/lib"]),
        (32, ["/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"]),
    ],
)
def test_directories_by_version(kmod: int, expected: list[str]) -> None:
    assert list(directories(kmod)) == [f"{base}/modprobe.d" for base in expected]


def test_an_empty_host_has_no_configuration(tmp_path: Path) -> None:
    config = read_config(Root(tmp_path), 34)
    assert (config.files, config.masked, config.problems) == ((), (), ())
    assert read_cmdline(Root(tmp_path)) == b""


def test_earlier_directories_mask_later_ones_by_name(tmp_path: Path) -> None:
    for base in ("lib", "usr/lib", "usr/local/lib", "run", "etc"):
        write(tmp_path, f"{base}/modprobe.d/a.conf", base.encode())
    config = read_config(Root(tmp_path), 34)
    assert config.files == (ConfigFile("/etc/modprobe.d/a.conf", b"etc"),)
    assert config.masked == tuple(
        MaskedFile(f"/{base}/modprobe.d/a.conf", "/etc/modprobe.d/a.conf")
        for base in ("run", "usr/local/lib", "usr/lib", "lib")
    )


def test_files_are_sorted_by_the_bytes_of_their_names(tmp_path: Path) -> None:
    names = ["00", "10", "9", "Kvm", "kvm-intel", "kvm", "kvm.conf", "kvm_x", "zz", "\u00e9"]
    for number, name in enumerate(names):
        write(tmp_path, f"{('etc', 'run', 'lib')[number % 3]}/modprobe.d/{name}.conf")
    os.rename(
        os.fsencode(write(tmp_path, "run/modprobe.d/x.conf")),
        os.fsencode(tmp_path / "run/modprobe.d") + b"/\xff.conf",
    )
    assert [os.path.basename(path)[:-5] for path in paths(tmp_path)] == [*names, "\udcff"]


@pytest.mark.parametrize(
    "name",
    ["a.conf.bak", "a.CONF", ".a.conf", ".conf", "a", "a.conf~", "a.conf.rpmnew", "modprobe"],
)
def test_names_that_do_not_count(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"etc/modprobe.d/{name}")
    assert paths(tmp_path) == []


def test_alias_files_count_up_to_kmod_32(tmp_path: Path) -> None:
    write(tmp_path, "etc/modprobe.d/a.alias")
    assert paths(tmp_path, 32) == ["/etc/modprobe.d/a.alias"]
    assert paths(tmp_path, 33) == []


def test_lists_of_depmod_take_part(tmp_path: Path) -> None:
    write(tmp_path, "proc/sys/kernel/osrelease", b"6.1.0\n")
    write(tmp_path, "lib/modules/6.1.0/modules.softdep", b"softdep a pre: b\n")
    write(tmp_path, "lib/modules/6.1.0/modules.weakdep")
    write(tmp_path, "etc/modprobe.d/kvm.conf")
    write(tmp_path, "etc/modprobe.d/n.conf")
    softdep, weakdep = (f"/lib/modules/6.1.0/modules.{name}" for name in ("softdep", "weakdep"))
    kvm, n = "/etc/modprobe.d/kvm.conf", "/etc/modprobe.d/n.conf"
    assert paths(tmp_path, 32) == [kvm, softdep, n]
    assert paths(tmp_path, 33) == [kvm, softdep, weakdep, n]


def test_a_link_to_the_null_device_masks(tmp_path: Path) -> None:
    write(tmp_path, "lib/modprobe.d/a.conf", b"options kvm_amd nested=0\n")
    directory = tmp_path / "etc/modprobe.d"
    directory.mkdir(parents=True)
    (directory / "a.conf").symlink_to("/dev/null")
    config = read_config(Root(tmp_path), 34)
    assert config.files == (ConfigFile("/etc/modprobe.d/a.conf", b""),)
    assert config.problems == ()


def test_a_link_that_leads_nowhere_masks_before_kmod_34(tmp_path: Path) -> None:
    write(tmp_path, "lib/modprobe.d/a.conf")
    directory = tmp_path / "etc/modprobe.d"
    directory.mkdir(parents=True)
    (directory / "a.conf").symlink_to("/nowhere/at/all")
    assert paths(tmp_path, 33) == []
    assert paths(tmp_path, 34) == ["/lib/modprobe.d/a.conf"]
    assert read_config(Root(tmp_path), 34).problems == (
        "/etc/modprobe.d/a.conf is a link that leads nowhere; kmod 34 ignores it.",
    )


def test_a_directory_among_the_files_does_not_mask(tmp_path: Path) -> None:
    write(tmp_path, "lib/modprobe.d/a.conf")
    (tmp_path / "etc/modprobe.d/a.conf").mkdir(parents=True)
    assert paths(tmp_path) == ["/lib/modprobe.d/a.conf"]
    assert read_config(Root(tmp_path), 34).problems == (
        "/etc/modprobe.d/a.conf is a directory, which kmod ignores.",
    )


def test_a_fifo_is_in_the_way_of_modprobe(tmp_path: Path) -> None:
    write(tmp_path, "etc/modprobe.d/b.conf", b"x")
    os.mkfifo(tmp_path / "etc/modprobe.d/a.conf")
    config = read_config(Root(tmp_path), 34)
    assert config.files == (ConfigFile("/etc/modprobe.d/b.conf", b"x"),)
    assert config.problems == ("/etc/modprobe.d/a.conf is a FIFO, in which modprobe hangs.",)
    assert config.obstacles == config.problems


def test_a_fifo_that_is_masked_is_in_nobodys_way(tmp_path: Path) -> None:
    write(tmp_path, "etc/modprobe.d/a.conf")
    (tmp_path / "lib/modprobe.d").mkdir(parents=True)
    os.mkfifo(tmp_path / "lib/modprobe.d/a.conf")
    assert read_config(Root(tmp_path), 34).obstacles == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a device")
def test_a_device_without_an_end_is_in_the_way_of_modprobe(tmp_path: Path) -> None:
    (tmp_path / "etc/modprobe.d").mkdir(parents=True)
    os.mknod(tmp_path / "etc/modprobe.d/a.conf", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    [obstacle] = read_config(Root(tmp_path), 34).obstacles
    assert obstacle.startswith("/etc/modprobe.d/a.conf is a device")


def test_an_unreadable_file_is_reported() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)  # other users may read it, unlike pytest's
        write(Path(name), "etc/modprobe.d/a.conf").chmod(0)
        with acting_as(nobody()):
            config = read_config(Root(Path(name)), 34)
    assert config.problems == ("/etc/modprobe.d/a.conf cannot be read: Permission denied.",)
    assert config.obstacles == ()  # modprobe continues without it


def test_a_file_beyond_all_reason_is_reported(tmp_path: Path) -> None:
    with write(tmp_path, "etc/modprobe.d/a.conf").open("r+b") as file:
        file.truncate(MOST_BYTES + 1)
    config = read_config(Root(tmp_path), 34)
    assert config.files == ()
    assert config.problems == (
        f"/etc/modprobe.d/a.conf is larger than the {MOST_BYTES} bytes that nestd reads.",
    )
    assert config.obstacles == config.problems  # modprobe's behaviour with it is unknown


def test_a_file_in_the_place_of_a_directory_counts_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, "etc/modprobe.d", b"x")
    write(tmp_path, "run/modprobe.d/a.conf")
    write(tmp_path, "run/modprobe.d/z.conf")
    assert paths(tmp_path) == [
        "/run/modprobe.d/a.conf", "/etc/modprobe.d", "/run/modprobe.d/z.conf",
    ]  # fmt: skip


def test_a_merged_usr_masks_nothing(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/modprobe.d/a.conf")
    (tmp_path / "lib").symlink_to("usr/lib")
    config = read_config(Root(tmp_path), 34)
    assert [file.path for file in config.files] == ["/usr/lib/modprobe.d/a.conf"]
    assert config.masked == ()


def test_the_command_line_is_read(tmp_path: Path) -> None:
    write(tmp_path, "proc/cmdline", b"quiet\n")
    assert read_cmdline(Root(tmp_path)) == b"quiet\n"


def test_links_are_those_of_the_root(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    write(outside, "a.conf", b"of this machine")
    write(root, str(outside).lstrip("/") + "/a.conf", b"of the root")
    write(root, "usr/lib/modprobe.d/b.conf", b"below a link")
    (root / "etc/modprobe.d").mkdir(parents=True)
    (root / "etc/modprobe.d/a.conf").symlink_to(outside / "a.conf")
    (root / "run").symlink_to("/usr/lib")
    assert read_config(Root(root), 31).files == (
        ConfigFile("/etc/modprobe.d/a.conf", b"of the root"),
        ConfigFile("/run/modprobe.d/b.conf", b"below a link"),
    )

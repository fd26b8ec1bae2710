# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text from outside is shown as one printable line, wherever it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nestd.formats.printable import LONGEST, printable
from nestd.host.kernel import kvm_holders
from nestd.host.kernel.kernel_log import KernelLog
from nestd.host.libvirt import domains as libvirt_domains
from nestd.host.program import Result
from nestd.host.root import Root

BAD = b"a\nb\x1b[31m\xff\xe2\x80\xae"
SHOWN = r"a\nb\x1b[31m\xff\u202e"


def process(root: Root, pid: int, guest: bytes = BAD, group: bytes = b"machine-x.scope") -> None:
    directory = root.at(f"/proc/{pid}")
    (directory / "fd").mkdir(parents=True)
    (directory / "fd/3").symlink_to("anon_inode:kvm-vm")
    os.symlink(b"/tmp/" + BAD + b" (deleted)", os.fsencode(directory / "exe"))
    (directory / "cmdline").write_bytes(b"vmm\0-name\0guest=" + guest + b"\0")
    (directory / "cgroup").write_bytes(b"0::/machine.slice/" + group + b"\n")


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"qemu-kvm", "qemu-kvm"),
        ("Gäste 東京".encode(), "Gäste 東京"),
        (b"", ""),
        (BAD, SHOWN),
        ("\x00\x85\u2028\ud7ff".encode(), r"\x00\x85\u2028\ud7ff"),
        (b"x" * LONGEST, "x" * LONGEST),
        (b"x" * (LONGEST + 1), "x" * (LONGEST - 3) + "..."),
        ("🐧".encode() * (LONGEST + 1), "🐧" * (LONGEST - 3) + "..."),
        (b"\xff" * 100_000, (r"\xff" * LONGEST)[: LONGEST - 3] + "..."),
    ],
)
def test_printable(data: bytes, shown: str) -> None:
    assert printable(data) == shown
    assert printable(data).isprintable()


def test_a_process_names_itself(tmp_path: Path) -> None:
    root = Root(tmp_path)
    process(root, 7, group=b"a\x1b\x85b.scope")
    [holder] = kvm_holders.scan(root, {})
    assert (holder.executable, holder.guest, holder.unit) == (SHOWN, SHOWN, r"a\x1b\x85b.scope")


def test_a_process_whose_program_is_not_told_has_its_command_for_a_name(tmp_path: Path) -> None:
    root = Root(tmp_path)
    process(root, 7)
    root.at("/proc/7/exe").unlink()
    root.at("/proc/7/comm").write_bytes(BAD + b"\n")
    [holder] = kvm_holders.scan(root, {})
    assert holder.executable == SHOWN


def test_arguments_without_end_are_not_read_to_the_end(tmp_path: Path) -> None:
    root = Root(tmp_path)
    process(root, 7, guest=b"x" * 100_000)
    with root.at("/proc/7/cmdline").open("r+b") as file:
        file.truncate(1 << 40)  # more than any memory; a sparse file, which takes no space
    [holder] = kvm_holders.scan(root, {})
    assert holder.guest == "x" * (LONGEST - 3) + "..."


def test_a_domain_of_libvirt(tmp_path: Path) -> None:
    root = Root(tmp_path)
    state = root.at("/run/libvirt/qemu")
    state.mkdir(parents=True)
    for ending, data in ((b".pid", b"7\n"), (b".xml", b"")):
        Path(os.fsdecode(os.fsencode(state / os.fsdecode(BAD)) + ending)).write_bytes(data)
    os.mkfifo(state / "hangs.pid")
    (state / "hangs.xml").touch()
    assert libvirt_domains.names_by_pid(root) == {7: SHOWN}


def test_the_kernel_s_reason(tmp_path: Path) -> None:
    root = Root(tmp_path)
    log = root.at("/dev/kmsg")
    log.parent.mkdir()
    log.touch()
    with KernelLog(root) as messages:
        log.write_bytes(b"3,1,2,-;kvm_amd: \x1b[31m\xff\n SUBSYSTEM=x\n")
        assert messages.about("kvm_amd") == (r"kvm_amd: \x1b[31m\xff",)


def test_a_program_s_complaint() -> None:
    assert Result(1, b"", b"first\nlast \x1b[31m\xff\x85\n").complaint == r"last \x1b[31m\xff\x85"
    assert Result(3, b"", b"\n").complaint == "exit status 3"

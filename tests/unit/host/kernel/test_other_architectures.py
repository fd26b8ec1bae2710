# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts of architectures without a KVM module with "nested", as their files show them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from situations import KVM_CONF

from nestd.core.errors import InvalidArgument
from nestd.core.model import Answer, Snapshot
from nestd.core.modules.view import HostView
from nestd.host.kernel.kvm_device import arm_nests
from nestd.host.kernel.real import FilesOnly
from nestd.host.root import Root

KMOD = 30
CPUINFO = {
    "aarch64": "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n",
    "riscv64": "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdch\nmmu\t\t: sv39\n",
    "loongarch64": "system type\t\t: generic\n\nCPU Family\t\t: Loongson-64bit\n",
    "ppc64le": "processor\t: 0\ncpu\t\t: POWER9, altivec supported\nplatform\t: PowerNV\n",
    "s390x": "vendor_id       : IBM/S390\nfeatures\t: esan3 sie\n",
    "x86_64": "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\n",
}


def tree(directory: Path, machine: str, files: dict[str, str] | None = None) -> Root:
    given = {"/proc/cpuinfo": CPUINFO[machine], "/lib/modules/6.17.0/modules.dep": "", KVM_CONF: ""}
    for path, text in {**given, **(files or {})}.items():
        place = directory / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return Root(directory)


def look(root: Root) -> Snapshot:
    async def body() -> Snapshot:
        view = HostView(root, FilesOnly(root), KMOD, "none")
        await view.read_types()
        return view.snapshot()

    return asyncio.run(body())


@pytest.mark.parametrize("machine", CPUINFO)
def test_files_show_their_own_architecture(tmp_path: Path, machine: str) -> None:
    assert FilesOnly(tree(tmp_path, machine)).machine == machine


@pytest.mark.parametrize("machine", ["riscv64", "loongarch64"])
@pytest.mark.parametrize(
    ("files", "backend"),
    [
        ({}, ""),
        ({"/sys/module/kvm/initstate": "live\n", "/dev/kvm": ""}, "kvm"),
        ({"/sys/module/kvm/parameters/halt_poll_ns": "1\n", "/dev/kvm": ""}, "builtin"),
    ],
)
def test_kvm_does_not_nest_there(
    tmp_path: Path, machine: str, files: dict[str, str], backend: str
) -> None:
    found = look(tree(tmp_path, machine, files))
    assert (found.backend, found.nested, found.nested_at_boot) == (backend, Answer.NO, Answer.NO)


def test_of_a_kernel_that_nobody_has_seen_it_is_not_known(tmp_path: Path) -> None:
    root = tree(tmp_path, "riscv64", {"/dev/kvm": ""})
    (tmp_path / "lib/modules/6.17.0").rename(tmp_path / "lib/modules/9.1.0")
    assert look(root).nested is Answer.UNKNOWN


@pytest.mark.parametrize(
    ("cmdline", "nested"),
    [("quiet\n", Answer.NO), ("kvm-arm.mode=nested\n", Answer.UNKNOWN)],
)
def test_files_do_not_tell_what_an_arm64_kernel_took(
    tmp_path: Path, cmdline: str, nested: Answer
) -> None:
    found = look(tree(tmp_path, "aarch64", {"/proc/cmdline": cmdline, "/dev/kvm": ""}))
    assert (found.nested, found.backend) == (nested, "builtin")


def test_what_cannot_be_asked_is_not_known(tmp_path: Path) -> None:
    assert arm_nests(Root(tmp_path)) is None
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kvm").write_text("")  # not a device, so ioctl(2) fails
    assert arm_nests(Root(tmp_path)) is None


@pytest.mark.skipif(not Path("/dev/kvm").exists(), reason="there is no /dev/kvm here")
def test_a_kvm_of_another_architecture_has_no_el2() -> None:
    assert arm_nests(Root()) in (False, None)  # None if we may not open it


def test_an_arm64_host_says_where_nesting_is_switched(tmp_path: Path) -> None:
    async def body() -> None:
        root = tree(tmp_path, "aarch64")
        HostView(root, FilesOnly(root), KMOD, "none").module_name("kvm")

    with pytest.raises(InvalidArgument, match=r"kvm-arm\.mode="):
        asyncio.run(body())

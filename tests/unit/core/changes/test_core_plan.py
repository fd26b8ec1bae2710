# SPDX-License-Identifier: LGPL-2.1-or-later
"""The warnings of a plan, each with a configuration that causes it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nestd.core.changes.change import make_change
from nestd.core.changes.plan import warnings
from nestd.core.model import When
from nestd.core.modules.view import HostView
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel

REFUSED = "As things are, this would be refused."


def warnings_with(
    directory: Path, kind: str, module: str, config: bytes, initramfs: str = ""
) -> tuple[str, ...]:
    """The warnings of a plan to set nested=1 when a.conf contains CONFIG."""

    async def body() -> tuple[str, ...]:
        root = Root(directory)
        view = HostView(root, SimulatedKernel(root, KINDS[kind]), KMOD, "none")
        root.at("/etc/modprobe.d/a.conf").write_bytes(config)
        await view.read_types()
        facts = view.facts()
        change = make_change(facts, module, {"nested": "1"}, When.NOW)
        return warnings(facts, change, initramfs)

    return asyncio.run(body())


def test_nothing_to_warn_of(tmp_path: Path) -> None:
    assert warnings_with(tmp_path, "intel", "kvm_intel", b"options vhost x=1\n") == ()


@pytest.mark.parametrize(
    ("kind", "module", "config", "words"),
    [
        ("intel", "kvm_intel", b"options kvm nested=1\n", "a.conf:1 sets nested for kvm,"),
        ("amd", "kvm_amd", b"options kvm nested=1\n", "it belongs to"),
        ("intel", "kvm_intel", b"\noptions kvm_intel ept=1 # on\n", "a.conf:2: what follows the #"),
        ("amd", "kvm_amd", b"options kvm_amd nested=Y\n", "a.conf:1 sets nested=Y, which kvm_amd"),
        ("intel", "kvm_intel", b"blacklist kvm_intel\n", "a.conf:1 keeps udev from loading"),
        ("intel", "kvm_intel", b"alias kvm_intel off\n", "a.conf:1 makes modprobe take kvm_intel"),
        ("intel", "kvm_intel", b"install kvm-intel /bin/true\n", "a.conf:1 runs a command instead"),
    ],
)
def test_each_trap_is_named(
    tmp_path: Path, kind: str, module: str, config: bytes, words: str
) -> None:
    *refused, warning = warnings_with(tmp_path, kind, module, config)
    assert words in warning
    assert refused == ([REFUSED] if b"=Y" in config else [])


def test_who_decides_instead(tmp_path: Path) -> None:
    config = b"options kvm_intel nested=1\n"
    assert warnings_with(tmp_path, "intel", "kvm_intel", config) == ()
    (tmp_path / "etc/modprobe.d/zz.conf").write_bytes(b"options kvm_intel nested=0\n")
    refused, warning = warnings_with(tmp_path, "intel", "kvm_intel", config)
    assert refused == REFUSED
    assert warning == (
        "/etc/modprobe.d/zz.conf:1 sets nested=0 for kvm_intel and overrides"
        " /etc/modprobe.d/kvm.conf."
    )


def test_the_kernel_command_line_decides(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir(parents=True)
    (tmp_path / "proc/cmdline").write_bytes(b"ro kvm-intel.nested=0 module_blacklist=kvm_intel\n")
    _, overridden, denied = warnings_with(tmp_path, "intel", "kvm_intel", b"")
    assert overridden.startswith("The kernel command line (/proc/cmdline) sets nested=0")
    assert denied.startswith("The kernel command line forbids loading kvm_intel")


def test_a_copy_in_the_initramfs(tmp_path: Path) -> None:
    [warning] = warnings_with(tmp_path, "intel", "kvm_intel", b"", "/boot/initramfs-5.14.img")
    assert warning.startswith("/boot/initramfs-5.14.img holds a copy of kvm_intel")

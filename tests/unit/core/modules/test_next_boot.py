# SPDX-License-Identifier: LGPL-2.1-or-later
"""The value of nested after the next boot, what decides it, and what cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from nestd.core.changes.changes import Changes
from nestd.core.errors import Overridden, Unreadable
from nestd.core.model import Answer, Module, Snapshot, When
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

A = "/etc/modprobe.d/a.conf"
CMDLINE = "/proc/cmdline"
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
Files = Mapping[str, str]


def snapshot(path: Path, files: Files, kind: str = "intel") -> Snapshot:
    """The state of a host of KIND with FILES."""

    async def body() -> Snapshot:
        root = Root(path)
        for name, text in files.items():
            root.at(name).parent.mkdir(parents=True, exist_ok=True)
            root.at(name).write_text(text)
        view = HostView(root, SimulatedKernel(root, KINDS[kind]), KMOD, "none")
        await view.read_types()
        found = view.snapshot()
        view.close()
        return found

    return asyncio.run(body())


def module(path: Path, files: Files, kind: str = "intel") -> Module:
    found = snapshot(path, files, kind)
    return found.modules[found.host_module]


@pytest.mark.parametrize(
    ("kind", "files", "answer", "by"),
    [
        ("intel", {}, YES, "kernel default"),
        ("s390", {}, NO, "kernel default"),
        ("intel", {A: "options kvm_intel nested=0\n"}, NO, f"{A}:1"),
        ("intel", {CMDLINE: "kvm-intel.nested=N"}, NO, "kernel command line"),
        ("intel", {A: "#\nblacklist kvm-intel\n"}, NO, f"{A}:2"),
        ("intel", {CMDLINE: "modprobe.blacklist=x,kvm_intel"}, NO, "kernel command line"),
        ("intel", {CMDLINE: "modprobe.blacklist=kvm-intel"}, YES, "kernel default"),
        ("intel", {CMDLINE: "module_blacklist=kvm-intel"}, YES, "kernel default"),
        ("intel", {CMDLINE: "module_blacklist=kvm"}, NO, "kernel command line"),
        ("intel", {A: "blacklist kvm\nalias kvm off\n"}, YES, "kernel default"),
        ("s390", {A: "blacklist kvm\n"}, NO, f"{A}:1"),
        ("intel", {A: "install kvm_* /bin/false\n"}, NO, f"{A}:1"),
        ("intel", {A: "install kvm /usr/bin/true\n"}, NO, f"{A}:1"),
        ("intel", {A: "install kvm_intel /sbin/modprobe -i kvm_intel\n"}, UNKNOWN, f"{A}:1"),
        ("intel", {A: "alias kvm_intel off\n"}, UNKNOWN, f"{A}:1"),
        ("intel", {A: "options kvm halt_poll_ns=off\n"}, NO, f"{A}:1"),
        ("amd", {A: "options kvm_amd nested=1,\n"}, NO, f"{A}:1"),
        ("intel", {A: "options kvm_intel netsed=0\n"}, YES, "kernel default"),
        (
            "intel",
            {A: "blacklist kvm_intel\n", "/etc/initramfs-tools/modules": "kvm-intel nested=1\n"},
            UNKNOWN,
            f"{A}:1",
        ),
        (
            "intel",
            {
                A: "blacklist kvm_intel\n",
                "/etc/modules-load.d/kvm.conf": "kvm_intel\n",
                "/usr/lib/systemd/systemd-modules-load": "",
            },
            NO,  # systemd-modules-load obeys the line
            f"{A}:1",
        ),
    ],
)
def test_what_a_guest_finds(
    tmp_path: Path, kind: str, files: Files, answer: Answer, by: str
) -> None:
    found = snapshot(tmp_path, files, kind)
    assert (found.nested_at_boot, found.nested_decided_by) == (answer, by)
    assert found.modules[found.host_module].nested_at_boot is answer


def test_another_vendors_module_is_not_loaded_at_boot(tmp_path: Path) -> None:
    assert snapshot(tmp_path, {}).modules["kvm_amd"].nested_at_boot is NO
    assert snapshot(tmp_path, {}).modules["kvm"].nested_at_boot is UNKNOWN


def test_words_of_a_file_that_others_cannot_read_are_withheld(tmp_path: Path) -> None:
    words = {A: "install kvm_intel /bin/false PASSWORD\noptions kvm_intel secret=1\n"}
    public = module(tmp_path, words).load_obstacles
    assert [each.text for each in public] == [
        "install kvm_intel /bin/false PASSWORD",
        "secret=1",
    ]
    (tmp_path / A.lstrip("/")).chmod(0o640)
    private = module(tmp_path, {}).load_obstacles
    assert [each.text for each in private] == ["", ""]
    assert [(each.kind, each.file, each.line) for each in private] == [
        ("install", A, 1),
        ("unknown-parameter", A, 2),
    ]


def test_pending_is_the_kernels_comparison(tmp_path: Path) -> None:
    same = module(tmp_path, {A: "options kvm_intel ple_gap=0x80 ept=y nested=1;\n"})
    assert same.pending == ()
    other = module(tmp_path, {A: "options kvm_intel ple_gap=0x81\n"})
    assert other.pending == (("ple_gap", "128", "0x81"),)


def test_another_kvm_is_named(tmp_path: Path) -> None:
    files = {
        "/proc/cpuinfo": "flags : fpu\n",
        "/sys/module/kvm_pvm/initstate": "live\n",
        "/dev/kvm": "",
    }
    root = Root(tmp_path)
    SimulatedKernel(root, KINDS["intel"])
    for name in ("kvm_intel", "kvm"):
        (tmp_path / "sys/module" / name / "initstate").unlink()
    found = snapshot(tmp_path, files)
    assert (found.backend, found.nested) == ("kvm_pvm", UNKNOWN)
    assert snapshot(tmp_path / "whole", {}).backend == "kvm_intel"
    assert snapshot(tmp_path / "z", {}, "s390").backend == "kvm"


@pytest.mark.parametrize("name", ["initstate", "refcnt", "parameters/nested"])
def test_what_cannot_be_read_is_not_absent(tmp_path: Path, name: str) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        view = HostView(root, SimulatedKernel(root, KINDS["intel"]), KMOD, "none")
        await view.start()
        changes = Changes(view, Reloads(view, Records(root)))
        file = root.at(f"/sys/module/kvm_intel/{name}")
        file.unlink()
        file.symlink_to(file)  # ELOOP: an error, not an absent file
        view.config_changed()
        found = view.snapshot().modules["kvm_intel"]
        assert "symbolic links" in found.read_error
        assert found.nested is (YES if name == "refcnt" else UNKNOWN)
        for when in (When.NOW, When.IDLE):
            with pytest.raises(Unreadable, match="cannot be read"):
                await changes.request("kvm_intel", {"nested": "0"}, when)
        with pytest.raises(Unreadable):
            changes.prepare_reload("kvm_intel")
        await changes.request("kvm_intel", {"nested": "0"}, When.BOOT)
        await changes.reloads.close()
        view.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "In the boot loader's configuration, remove kvm_intel.nested=0"),
        (
            {"/usr/sbin/grubby": ""},
            'Run grubby --update-kernel=ALL --remove-args="kvm_intel.nested=0"'
            ' --args="kvm_intel.nested=1" and reboot.',
        ),
        ({"/usr/sbin/update-grub": ""}, "GRUB_CMDLINE_LINUX and add kvm_intel.nested=1; then run"),
        ({"/usr/sbin/grub2-mkconfig": ""}, "grub2-mkconfig -o /boot/grub2/grub.cfg"),
        ({"/etc/zipl.conf": ""}, "then run zipl."),
        ({"/etc/kernel/cmdline": ""}, "In /etc/kernel/cmdline, remove kvm_intel.nested=0"),
        ({"/etc/NIXOS": ""}, "boot.kernelParams and add kvm_intel.nested=1"),
        (
            {"/run/ostree-booted": "", "/usr/bin/rpm-ostree": ""},
            "Run rpm-ostree kargs --delete=kvm_intel.nested=0 --append=kvm_intel.nested=1",
        ),
        (
            {"/run/ostree-booted": "", "/usr/lib/bootc/kargs.d/9.toml": "kvm_intel.nested=0"},
            "In the image's /usr/lib/bootc/kargs.d/9.toml, remove kvm_intel.nested=0",
        ),
    ],
)
def test_the_command_that_changes_the_kernel_command_line(
    tmp_path: Path, files: Files, words: str
) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        for name, text in {CMDLINE: "ro kvm_intel.nested=0\n", **files}.items():
            root.at(name).parent.mkdir(parents=True, exist_ok=True)
            root.at(name).write_text(text)
        view = HostView(root, SimulatedKernel(root, KINDS["intel"]), KMOD, "none")
        changes = Changes(view, Reloads(view, Records(root)))
        with pytest.raises(Overridden) as raised:
            await changes.request("kvm_intel", {"nested": "1"}, When.NOW)
        assert words in str(raised.value)
        view.close()

    asyncio.run(body())

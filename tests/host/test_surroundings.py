# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only the checks read, from files as on real hosts."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from nestd.host import program
from nestd.host.kernel.kvm_device import KvmDevice, read_device
from nestd.host.libvirt.cache import DIRECTORY, read_cache
from nestd.host.machine import initramfs
from nestd.host.machine.initramfs import Initramfs, look
from nestd.host.machine.os_release import OsRelease, read_os_release
from nestd.host.machine.processor import Processor, read_processor
from nestd.host.machine.surroundings import read_surroundings
from nestd.host.machine.virtualbox import NO_VIRTUALBOX, find_virtualbox
from nestd.host.root import Root

X86 = """\
processor	: 0
vendor_id	: AuthenticAMD
model name	: AMD EPYC 7402 24-Core Processor
flags		: fpu vme svm npt
bugs		: sysret_ss_attrs

processor	: 1
vendor_id	: AuthenticAMD
flags		: fpu
"""
POWER = """\
processor	: 0
cpu		: POWER9 (raw), altivec supported
clock		: 3800.000000MHz

timebase	: 512000000
platform	: PowerNV
MMU		: Radix
"""
S390 = """\
vendor_id       : IBM/S390
# processors    : 2
features\t: esan3 zarch stfle msa ldisp sie
facilities      : 0 1 2 3 4 6
"""
# As libvirt 9.0 wrote it for QEMU 7.2 on kvm_amd, shortened.
CACHE = """\
<qemuCaps>
  <emulator>/usr/bin/qemu-system-x86_64</emulator>
  <selfvers>9000000</selfvers>
  <flag name='kvm'/>
  <flag name='spice'/>
  <version>7002022</version>
  <arch>x86_64</arch>
  <hostCPU type='kvm' model='base' migratability='yes'>
    <property name='npt' type='boolean' value='true' migratable='yes'/>
    <property name='svm' type='boolean' value='true' migratable='yes'/>
    <property name='vmx' type='boolean' value='false'/>
    <property name='family' type='number' value='15'/>
  </hostCPU>
  <hostCPU type='tcg' model='base' migratability='no'>
    <property name='la57' type='boolean' value='true' migratable='yes'/>
  </hostCPU>
  <kvmSupportsNesting/>
</qemuCaps>
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def write(root: Root, path: str, text: str) -> Path:
    place = root.at(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            X86,
            Processor(
                vendor="AuthenticAMD",
                model="AMD EPYC 7402 24-Core Processor",
                flags=frozenset({"fpu", "vme", "svm", "npt"}),
            ),
        ),
        (
            POWER,
            Processor(model="POWER9 (raw), altivec supported", mmu="Radix", platform="PowerNV"),
        ),
        (
            S390,
            Processor(
                vendor="IBM/S390",
                flags=frozenset({"esan3", "zarch", "stfle", "msa", "ldisp", "sie"}),
                facilities=frozenset({"0", "1", "2", "3", "4", "6"}),
            ),
        ),
    ],
    ids=["x86", "power", "s390"],
)
def test_processor(text: str, expected: Processor, root: Root) -> None:
    write(root, "/proc/cpuinfo", text)
    assert read_processor(root) == expected
    assert expected.known


def test_no_processor(root: Root) -> None:
    assert not read_processor(root).known


def test_device(root: Root) -> None:
    assert read_device(root) == KvmDevice(exists=False)
    place = write(root, "/dev/kvm", "")
    for mode, group, others in ((0o600, False, False), (0o660, False, False), (0o666, False, True)):
        place.chmod(mode)
        found = read_device(root)
        assert (found.exists, found.is_device, found.mode) == (True, True, mode)
        assert (found.group_may_use, found.all_may_use) == (group, others)
    assert KvmDevice(True, True, 0o660, "root", "kvm").group_may_use
    assert not KvmDevice(True, True, 0o640, "root", "kvm").group_may_use


def test_a_device_is_looked_at_and_not_opened(root: Root) -> None:
    """Opening a FIFO would block until a writer comes; opening /dev/kvm loads KVM on some hosts."""
    root.at("/dev").mkdir()
    os.mkfifo(root.at("/dev/kvm"))
    assert read_device(root).exists


def test_the_device_of_this_machine() -> None:
    found = read_device(Root())
    there = os.path.exists("/dev/kvm")
    assert found.exists is there
    if there:
        status = os.stat("/dev/kvm")
        assert found.is_device is stat.S_ISCHR(status.st_mode)
        assert found.mode == stat.S_IMODE(status.st_mode)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'NAME="Red Hat Enterprise Linux"\nVERSION_ID="8.10"\nID="rhel"\n',
            OsRelease("rhel", "8.10", ""),
        ),
        ("ID=debian\nPRETTY_NAME='Debian 12'\n# ID=x\n\n", OsRelease("debian", "", "Debian 12")),
        ('ID="unclosed\nVERSION_ID=9\n', OsRelease("", "9", "")),
        ("\0\xff", OsRelease()),
    ],
)
def test_os_release(text: str, expected: OsRelease, root: Root) -> None:
    write(root, "/usr/lib/os-release", text)
    assert read_os_release(root) == expected
    root.at("/etc").mkdir()
    root.at("/etc/os-release").symlink_to("../usr/lib/os-release")
    assert read_os_release(root) == expected


def test_no_os_release(root: Root) -> None:
    assert read_os_release(root) == OsRelease()


def test_virtualbox(root: Root) -> None:
    assert find_virtualbox(root) == NO_VIRTUALBOX
    write(root, "/etc/vbox/vbox.cfg", "")
    assert find_virtualbox(root).sign == "/etc/vbox/vbox.cfg"


def test_libvirt_cache(root: Root) -> None:
    assert read_cache(root, "x86_64") is None
    write(root, f"{DIRECTORY}/one.xml", CACHE)
    found = read_cache(root, "x86_64")
    assert found is not None
    assert (found.emulator, found.kvm, found.nesting) == ("/usr/bin/qemu-system-x86_64", True, True)
    assert found.cpu == {"npt", "svm"}
    assert read_cache(root, "s390x") is None


def test_a_cache_that_lists_every_model_of_a_processor(root: Root) -> None:
    models = "<cpu type='kvm' name='x'/>\n" * 20_000
    write(root, f"{DIRECTORY}/one.xml", CACHE.replace("<kvmS", f"{models}<kvmS"))
    assert read_cache(root, "x86_64") is not None


def test_the_newest_of_the_caches_that_can_be_read(root: Root) -> None:
    old = CACHE.replace("<kvmSupportsNesting/>", "").replace("<flag name='kvm'/>", "")
    texts = {"old": old, "new": CACHE, "damaged": CACHE[:-20], "other": "<domain/>"}
    for age, (name, text) in enumerate(texts.items()):
        os.utime(write(root, f"{DIRECTORY}/{name}.xml", text), (1000 + age, 1000 + age))
    root.at(f"{DIRECTORY}/directory.xml").mkdir()
    found = read_cache(root, "x86_64")
    assert found is not None
    assert found.nesting
    os.utime(root.at(f"{DIRECTORY}/old.xml"), (2000, 2000))
    found = read_cache(root, "x86_64")
    assert found is not None
    assert not found.nesting
    assert not found.kvm


def lister(monkeypatch: pytest.MonkeyPatch, directory: Path, script: str) -> Path:
    """The only image lister on the search path; returns the file that records its runs."""
    runs = directory / "runs"
    path = directory / "lsinitramfs"
    path.write_text(f"#!/bin/sh\necho run >> {runs}\n{script}\n")
    path.chmod(0o755)
    search = {**program.ENVIRONMENT, "PATH": f"{directory}:/bin"}
    monkeypatch.setattr(program, "ENVIRONMENT", search)
    monkeypatch.setenv("PATH", search["PATH"])
    monkeypatch.setattr(initramfs, "_LISTERS", ("lsinitramfs",))
    return runs


def test_initramfs(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = lister(monkeypatch, tmp_path, "echo usr/lib/modules/6/kernel/arch/x86/kvm/kvm-amd.ko.xz")

    async def test() -> None:
        assert await look(root, "6", "kvm_amd") == Initramfs("", False)
        image = write(root, "/boot/initrd.img-6", "one")
        for _ in range(3):
            assert await look(root, "6", "kvm_amd") == Initramfs("/boot/initrd.img-6", True)
        assert runs.read_text() == "run\n"
        assert await look(root, "6", "kvm_intel") == Initramfs("/boot/initrd.img-6", False)
        assert await initramfs.holding(root, "6", "kvm_amd") == "/boot/initrd.img-6"
        assert runs.read_text() == "run\n" * 3
        image.write_text("another one")
        assert (await look(root, "6", "kvm_amd")).holds
        assert runs.read_text() == "run\n" * 4

    asyncio.run(test())


def test_an_image_that_cannot_be_listed_is_unknown(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lister(monkeypatch, tmp_path, "exit 1")
    write(root, "/boot/initramfs-6.img", "")

    async def test() -> None:
        assert await look(root, "6", "kvm_amd") == Initramfs("/boot/initramfs-6.img", None)
        assert await initramfs.holding(root, "6", "kvm_amd") == ""

    asyncio.run(test())


def test_an_empty_root_has_no_surroundings(root: Root) -> None:
    found = asyncio.run(read_surroundings(root, "x86_64", "6", "kvm_amd"))
    assert not found.processor.known
    assert not found.device.exists
    assert found.initramfs == Initramfs("", False)
    assert found.libvirt is None
    assert found.virtualbox == NO_VIRTUALBOX

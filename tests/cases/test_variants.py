# SPDX-License-Identifier: LGPL-2.1-or-later
"""Further variants of the faults in the cases, one row each.

The first word of a row is the case that it varies. README.md explains the answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from private_bus import PrivateBus
from run_nestctl import nestctl
from running_nestd import running_nestd

KVM_CONF = "etc/modprobe.d/kvm.conf"
A_CONF = "etc/modprobe.d/a.conf"
ZZ_CONF = "etc/modprobe.d/zz.conf"
CMDLINE = "proc/cmdline"
VIRTQEMUD = "etc/libvirt/virtqemud.conf"
CURLY = "\u201c", "\u201d"


class Variant(NamedTuple):
    """A simulated host with FILES; text that a command prints and does not print; its exit code."""

    kind: str
    files: dict[str, str]
    command: str
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    code: int = 0


def logs(text: str, *present: str, command: str = "log show", absent: str = "") -> Variant:
    """A variant of virtqemud's log settings."""
    return Variant("intel", {VIRTQEMUD: text}, command, present, (absent,) if absent else ())


VARIANTS = {
    "02 the module's name as an option": Variant(
        *("intel", {KVM_CONF: "options kvm_intel kvm_amd nested=0\n"}, "validate"),
        ("kvm.conf:1: kvm_amd is no parameter", "line of its own"),
    ),
    "02 two lines in one": Variant(
        *("amd", {KVM_CONF: "options kvm_amd nested=0 options kvm ignore_msrs=1\n"}, "validate"),
        ("kvm.conf:1: options is no parameter",),
    ),
    "03 a command that only tells": Variant(
        *("intel", {A_CONF: "install kvm_intel /bin/echo blocked; /bin/false\n"}, "status"),
        ("on now, but not after a reboot", "a.conf:1"),
    ),
    "03 a command that may load it": Variant(
        *("amd", {A_CONF: "install kvm_amd /usr/local/bin/load-kvm\n"}, "status"),
        ("Whether kvm_amd is loaded after a reboot is not known", "a.conf:1"),
    ),
    "03 the refused load names the line": Variant(
        *("amd", {A_CONF: "install kvm-amd /bin/true # hardening\n"}, "nested off"),
        *(("was not reloaded", "a.conf:1"), (), 1),
    ),
    "06 a bad value of kvm on the kernel command line": Variant(
        *("intel", {CMDLINE: "ro kvm.ignore_msrs=maybe\n", "usr/sbin/grubby": ""}, "validate"),
        ("kvm_intel needs kvm", 'grubby --update-kernel=ALL --remove-args="kvm.ignore_msrs=maybe"'),
        *((), 1),
    ),
    "10 the first of two files by name loses": Variant(
        "intel",
        {
            "etc/modprobe.d/10-kvm.conf": "options kvm_intel nested=1\n",
            "run/modprobe.d/9-vendor.conf": "options kvm_intel nested=0\n",
        },
        *("status", ("Nested virtualization is on now, and will be off", "9-vendor.conf:1")),
    ),
    "10 a file of the same name masks another": Variant(
        "amd",
        {
            "etc/modprobe.d/virt.conf": "# empty on purpose\n",
            "lib/modprobe.d/virt.conf": "options kvm_amd nested=0\n",
        },
        *("status", ("is on, and stays on after a reboot",)),
    ),
    "11 spelled with a dash": Variant(
        *("intel", {CMDLINE: "ro kvm-intel.nested=0\n", "usr/sbin/grubby": ""}, "nested on"),
        ('--remove-args="kvm-intel.nested=0" --args="kvm_intel.nested=1"',),
        *(("--at-boot",), 1),
    ),
    "11b the command line, planned for the next boot": Variant(
        "intel",
        {CMDLINE: "ro kvm_intel.nested=0\n", KVM_CONF: "options kvm_intel nested=1\n"},
        "plan kvm_intel nested=1 --at-boot",
        *(("kvm_intel.nested=1", "overrides"), ("everything is as requested",)),
    ),
    "11b another file": Variant(
        *("amd", {ZZ_CONF: "options kvm_amd nested=0\n"}, "plan kvm_amd nested=1"),
        *(("would be refused", "zz.conf:1"), ("everything is as requested", "--at-boot")),
    ),
    "14 the last of two lists counts": Variant(
        *("intel", {CMDLINE: "module_blacklist=kvm module_blacklist=nouveau\n"}, "status"),
        ("stays on after a reboot",),
    ),
    "19 a dash among others": Variant(
        *("amd", {CMDLINE: "ro modprobe.blacklist=nouveau,kvm-amd\n"}, "validate"),
        ("modprobe.blacklist=kvm-amd, which matches no module", "This host is ready"),
    ),
    "19 a dash, and status": Variant(
        *("intel", {CMDLINE: "ro modprobe.blacklist=kvm-intel\n"}, "status"),
        ("is on, and stays on after a reboot",),
    ),
    "19b among others": Variant(
        *("amd", {CMDLINE: "ro modprobe.blacklist=nouveau,kvm_amd\n"}, "status"),
        ("not after a reboot", "the kernel command line"),
    ),
    "19b the whole list is kept but for one": Variant(
        "intel",
        {CMDLINE: "modprobe.blacklist=pcspkr,kvm_intel\n", "usr/sbin/update-grub": ""},
        "validate",
        (
            *("remove modprobe.blacklist=pcspkr,kvm_intel", "add modprobe.blacklist=pcspkr"),
            "ready for nested virtualization now, but not after a reboot",
        ),
    ),
    "22 an initramfs of NixOS": Variant(
        "intel",
        {"etc/NIXOS": "", "run/booted-system/initrd": "x"},
        *("validate", ("/run/booted-system/initrd",), ("No initramfs in /boot",)),
    ),
    "25 Azure": Variant(
        "intel,guest-of=azure", {}, "validate", ("In Azure the size",), ("Set-VMProcessor",), 1
    ),
    "25 Proxmox VE": Variant(
        "amd,guest-of=proxmox", {}, "validate", ("qm set ID --cpu host",), ("libvirt's XML",), 1
    ),
    "28 status": Variant(
        "power",
        {"proc/cpuinfo": "cpu\t: POWER10 (architected)\nplatform\t: pSeries\nMMU\t: Radix\n"},
        *("status", ("LPAR",), ("Nested virtualization is on", "nestctl nested on")),
    ),
    "29 bootc without rpm-ostree": Variant(
        "amd",
        {CMDLINE: "kvm_amd.nested=0\n", "usr/bin/bootc": "", "run/ostree-booted": ""},
        *("nested on", ("/usr/lib/bootc/kargs.d", "bootc upgrade"), ("--at-boot",), 1),
    ),
    "56 the other vendor's, beside this one's": Variant(
        "intel",
        {A_CONF: "options kvm_intel nested=1\noptions kvm-amd nested=0 npt=1\n"},
        *("validate", ("a.conf:2 sets nested=0 npt=1 for kvm_amd",)),
    ),
    "56 another architecture's module": Variant(
        *("intel", {A_CONF: "options kvm-intel.ko nested=1\n"}, "validate"),
        ("a.conf:1: kvm_intel.ko is no module, kvm_intel is",),
    ),
    "62 a comment behind a value": logs('log_filters="1:qemu" # for the bug\n', "1:qemu"),
    "62 a comment behind a level": logs("log_level = 2 # info\n", "2"),
    "63 blanks alone": logs("   \n\n", "cannot start", "virtqemud.conf:", command="status"),
    "63 a word alone": logs("EOF\n", "cannot start", "virtqemud.conf:", command="status"),
    "64 indented": logs('\t  log_filters="1:qemu"\n', "1:qemu"),
    "64 Windows' line ends": logs('log_filters="1:qemu"\r\n', "1:qemu"),
    "69 no quotes": logs("log_filters=1:qemu\n", "virtqemud.conf:1", command="validate"),
    "69 one quote": logs('log_filters="1:qemu\n', "virtqemud.conf:1", command="validate"),
    "70 a comma": logs('log_filters="1:qemu,1:util"\n', "qemu,1"),
    "70 a semicolon": logs('log_filters="1:qemu;3:event"\n', "qemu;3"),
    "71 typographic": logs(f"log_filters={CURLY[0]}1:qemu{CURLY[1]}\n", "virtqemud.conf:1"),
    "71 in a value": logs(
        f'log_filters="{CURLY[0]}1:qemu{CURLY[1]}"\n', "cannot start", command="status"
    ),
    "72 level 1 and filters": logs(
        'log_level=1\nlog_filters="3:*"\n', "3:*", absent="Debug logs off"
    ),
    "73 a directory that is missing": logs(
        'log_outputs="1:file:/var/log/nowhere/q.log"\n', "cannot start", command="validate"
    ),
    "74 a level in words": logs('log_level = "debug"\n', "virtqemud.conf", command="validate"),
    "74 a level that there is not": logs("log_level = 9\n", "virtqemud.conf", command="validate"),
    "75 a colon": logs("log_level: 1\n", "virtqemud.conf:1", command="validate"),
    "75 another key with a colon": logs('log_filters : "1:qemu"\n', "virtqemud.conf:1"),
    "76 a continued line": logs(
        'log_filters="1:qemu \\\n3:util"\n', "virtqemud.conf:1", command="validate"
    ),
    "76 a value on the next line": logs('log_filters=\n"1:qemu"\n', "virtqemud.conf:"),
    "77 relative, in a directory": logs('log_outputs="1:file:logs/q.log"\n', "logs/q.log"),
    "80 a list": logs('log_filters=["1:qemu", "3:util"]\n', "virtqemud.conf", command="validate"),
    "80 a list of outputs": logs('log_outputs = [ "1:stderr" ]\n', "virtqemud.conf"),
    "81 a word for a level": logs(
        'log_filters="debug:qemu"\n', "debug:qemu", "cannot start", command="status"
    ),
    "81 a level that there is not": logs('log_filters="0:qemu"\n', "0:qemu", command="validate"),
    "85 blanks behind it": Variant(
        *("intel", {KVM_CONF: "options kvm_intel nested= 1\n"}, "validate"),
        *(("a blank after the = of nested", "kvm.conf:1"), ("modinfo",), 1),
    ),
    "89 around the whole": Variant(
        "amd",
        {KVM_CONF: f"options kvm_amd {CURLY[0]}nested=1{CURLY[1]}\n"},
        *("validate", ("kvm.conf:1: typographic quotation marks",)),
    ),
    "89 a typographic dash": Variant(
        *("intel", {KVM_CONF: "options kvm\u2013intel nested=1\n"}, "validate"),
        ("kvm.conf:1", "is no module, kvm_intel is"),
    ),
    "92 with modules-load.d": Variant(
        "intel",
        {A_CONF: "blacklist kvm-intel\n", "etc/modules": "kvm_intel\n"},
        *("status", ("a.conf:1", "is not known"), ("stays on",)),
    ),
    "93 the shell's words": Variant(
        *("intel", {KVM_CONF: 'echo "options kvm_intel nested=1"\nEOF\n'}, "validate"),
        ("kvm.conf:1", "kmod ignores"),
    ),
    "93 YAML": Variant(
        *("amd", {KVM_CONF: "- options kvm_amd nested=1\n"}, "validate"),
        ("kvm.conf:1", "kmod ignores"),
    ),
    "94 a comma and no blank": Variant(
        *("intel", {KVM_CONF: "options kvm_intel nested=0,ept=1\n"}, "validate"),
        ("the comma of nested=0,ept=1", "kvm.conf:1"),
    ),
    "94 a semicolon and no blank": Variant(
        *("amd", {KVM_CONF: "options kvm_amd nested=1;npt=1\n"}, "validate"),
        *(("the semicolon of nested=1;npt=1", "kvm.conf:1"), (), 1),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_answer_is_right_for_variants_too(name: str, bus: PrivateBus, tmp_path: Path) -> None:
    variant, root = VARIANTS[name], tmp_path / "root"
    for path, text in variant.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.encode())
    root.mkdir(exist_ok=True)
    with running_nestd(bus.address, tmp_path, "--simulate", variant.kind) as nestd:
        result = nestctl(nestd.address, *variant.command.split())
    said = " ".join((result.out + result.err).split())
    assert [each for each in variant.present if each not in said] == [], said
    assert [each for each in variant.absent if each in said] == [], said
    assert result.code == variant.code, said


@pytest.mark.parametrize(
    ("content", "mode", "edited"),
    [
        (b"options kvm ignore_msrs=1", 0o644, b"options kvm ignore_msrs=1\n"),
        (b"# kept \xff\r\n# and this", 0o600, b"# kept \xff\r\n# and this\n"),
        (b"# kept\n", 0o640, b"# kept\n"),
    ],
    ids=["20 an option", "20 Windows' line ends, and 91", "91 read by a group"],
)
def test_an_edit_keeps_what_is_there(
    tmp_path: Path, bus: PrivateBus, content: bytes, mode: int, edited: bytes
) -> None:
    place = tmp_path / "root" / KVM_CONF
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    place.chmod(mode)
    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
        assert nestctl(nestd.address, "nested", "off").code == 0
    assert place.read_bytes().startswith(edited)
    assert place.read_bytes()[len(edited) :].strip() == b"options kvm_intel nested=0"
    assert place.stat().st_mode & 0o7777 == mode

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.Validate: hosts of all kinds, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from situations import (
    AMD_NESTED,
    INTEL_NESTED,
    KVM_CONF,
    S390_NESTED,
    X86_RELEASE,
    Files,
    findings,
    make_situation,
)

from nestd.core.checks.finding import Finding, Verdict
from nestd.formats.libvirt_xml.qemu_capabilities import QemuCapabilities
from nestd.host.kernel.kvm_device import KvmDevice
from nestd.host.machine.initramfs import Initramfs

CLASH = "kvm-s390: A KVM host that supports nesting cannot back its KVM guests with huge pages"
NO_FLAGS = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme msr\n"
POWER9 = "processor\t: 0\ncpu\t\t: POWER9 (raw), altivec supported\n\nplatform\t: PowerNV\n"
BUILTIN_INTEL: Files = {
    "/sys/module/kvm_intel/initstate": None,
    "/sys/module/kvm_intel/refcnt": None,
    f"/lib/modules/{X86_RELEASE}/modules.builtin": "kernel/arch/x86/kvm/kvm-intel.ko\n",
}
LOADED_AMD = frozenset({"svm", "npt"})


@dataclass(frozen=True)
class Host:
    """A host, and by id the verdict on it and words of the finding; "" for no such finding."""

    kind: str
    expected: Mapping[str, tuple[str, ...]]
    files: Files = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def intel(expected: Mapping[str, tuple[str, ...]], files: Files, **options: Any) -> Host:
    return Host("intel", expected, files, options)


def noted(**changes: Any) -> QemuCapabilities:
    known: dict[str, Any] = {
        "emulator": "/usr/libexec/qemu-kvm",
        "arch": "x86_64",
        "kvm": True,
        "nesting": True,
        "cpu": LOADED_AMD,
    }
    return QemuCapabilities(**{**known, **changes})


# Written as: what the host is, what is found.
HOSTS: Mapping[str, Host] = {
    "intel as installed": Host(
        "intel",
        {
            "architecture": ("pass", "x86_64"),
            "cpu": ("pass", "vmx"),
            "host-virtualization": ("pass", "bare metal"),
            "module": ("pass", "kvm_intel"),
            "nested": ("pass", "on", "kvm_intel.nested=Y"),
            "next-load": ("pass", "will be on", "default"),
            "overridden": ("pass",),
            "initramfs": ("pass",),
            "device": ("note", "all users"),
            "config-files": ("pass",),
            "config-lines": ("pass",),
            "support": ("note", "technology preview"),
            "host-system": ("pass", "9.5"),
            "amd-migration": (),
            "huge-pages": (),
            "power-xive": (),
            "virtualbox": (),
            "libvirt": (),
            "builtin": (),
            "autoload": (),
            "module-loading": (),
            "modprobe": (),
        },
    ),
    "amd as installed": Host(
        "amd",
        {
            "cpu": ("pass", "svm"),
            "nested": ("pass", "kvm_amd.nested=1"),
            "amd-migration": ("note", "cannot be migrated"),
        },
    ),
    "power9 as installed": Host(
        "power",
        {
            "cpu": ("pass", "POWER9", "radix"),
            "nested": ("pass", "kvm_hv.nested=Y"),
            "power-support": ("note", "technology preview", "POWER8"),
            "power-xive": ("note", "XIVE"),
        },
    ),
    "s390 as installed": Host(
        "s390",
        {
            "cpu": ("pass", "sie"),
            "nested": ("fail", "kvm.nested=0", "nestctl nested on"),
            "next-load": ("pass", "will be off"),
            "huge-pages": ("note", "exclude each other", "no huge pages"),
        },
    ),
    "arm": Host(
        "arm",
        {
            "architecture": ("pass", "aarch64", "6.16", "FEAT_NV2"),
            "cpu": ("note", "FEAT_NV2"),
            "kernel": ("fail", "6.12", "without effect", "Linux 6.16"),
            "kvm": ("pass",),
            "module": (),
            "nested": ("fail", "Boot Linux 6.16"),
            "support": (),
            "backend": (),
        },
    ),
    "arm64 as installed": Host(
        "arm64",
        {
            "kernel": ("pass", "6.17"),
            "cpu": ("note", "not known"),
            "device": ("pass", "all users"),
            "nested": ("fail", "no kvm-arm.mode=nested", "add kvm-arm.mode=nested"),
            "kernel-command-line": (),
        },
    ),
    "arm64 that nests": Host(
        "arm64",
        {
            "kernel": (),
            "cpu": ("pass", "FEAT_NV2"),
            "nested": ("pass", "on", "KVM accepted kvm-arm.mode=nested"),
            "device": ("note", "all users"),
        },
        {"/proc/cmdline": "ro kvm-arm.mode=nested\n"},
    ),
    "arm64 by the other spelling": Host(
        "arm64",
        {"nested": ("pass",), "kernel-command-line": ()},
        {"/proc/cmdline": "kvm_arm.mode=nvhe kvm_arm.mode=nested -- kvm-arm.mode=none\n"},
    ),
    "arm64 that KVM is lost on": Host(
        "arm64",
        {
            "kvm": ("fail", "no KVM because", "GICv2", "remove kvm-arm.mode=nested"),
            "nested": (),
            "device": (),
        },
        {
            "/proc/cmdline": "kvm-arm.mode=nested\n",
            "/proc/interrupts": " 30:  1   GIC-0  27 Level  arch_timer\n",
        },
    ),
    "arm64 that would lose KVM": Host(
        "arm64",
        {"nested": ("fail", "Do not boot", "GICv2")},
        {"/proc/interrupts": " 30:  1   GICv2  27 Level  arch_timer\n"},
    ),
    "arm64 whose interrupt controller is not known": Host(
        "arm64",
        {"nested": ("fail", "add kvm-arm.mode=nested", "GICv2")},
        {"/proc/interrupts": " 30:  1   intc  27 Level  arch_timer\n"},
    ),
    "arm64 without KVM by request": Host(
        "arm64",
        {"kvm": ("fail", "switched off", "kvm-arm.mode=none", "remove kvm-arm.mode=none")},
        {"/proc/cmdline": "kvm-arm.mode=none\n"},
    ),
    "arm64 with a misspelt mode": Host(
        "arm64",
        {
            "kernel-command-line": ("warn", "kvm-arm.mode=nestd", "none, nvhe, protected, nested"),
            "nested": ("fail", "remove kvm-arm.mode=nestd", "add kvm-arm.mode=nested"),
        },
        {"/proc/cmdline": "kvm-arm.mode=nestd\n"},
    ),
    "arm64 with options of modules": Host(
        "arm64",
        {"config-module": ("warn", "kvm's nested", "kvm_arm's mode", "not a module here")},
        {KVM_CONF: "options kvm nested=1\noptions kvm-arm mode=nested\n"},
    ),
    "switched off in the firmware": intel(
        {"cpu": ("fail", "neither vmx nor svm", "firmware set-up"), "module": (), "nested": ()},
        {
            "/proc/cpuinfo": NO_FLAGS,
            "/sys/module/kvm_intel": None,
        },
    ),
    "a virtual machine without vmx": intel(
        {"cpu": ("fail", "itself a virtual machine", "vhv.enable")},
        {"/proc/cpuinfo": NO_FLAGS.replace("msr", "hypervisor"), "/sys/module/kvm_intel": None},
        virtualization="vmware",
    ),
    "no cpuinfo": intel({"cpu": ("note", "not known")}, {"/proc/cpuinfo": None}),
    "off until the reboot": intel(
        {
            "nested": ("fail", "off", "nestctl nested on"),
            "next-load": ("warn", "off now, but only until", "on (nothing sets it", "--at-boot"),
        },
        {INTEL_NESTED: "N\n"},
    ),
    "configured off, runs on": intel(
        {
            "nested": ("pass",),
            "next-load": ("warn", "on now", f"off ({KVM_CONF}:1", "nestctl reload"),
        },
        {KVM_CONF: "options kvm_intel nested=0\n", INTEL_NESTED: "Y\n"},
    ),
    "configured on, runs off": intel(
        {"nested": ("fail",), "next-load": ("warn", f"on ({KVM_CONF}:2", "nestctl reload")},
        {KVM_CONF: "# on\noptions kvm_intel nested=1\n", INTEL_NESTED: "N\n"},
    ),
    "an old kernel, whose default is unknown": Host(
        "intel",
        {"next-load": ("note", "default in this kernel decides", "--at-boot")},
        options={"release": "4.18.0-80.el8.x86_64"},
    ),
    "s390, on until the reboot": Host(
        "s390",
        {"nested": ("pass",), "next-load": ("warn", "on now", "off (nothing sets it")},
        {S390_NESTED: "1\n"},
    ),
    "amd, Y that the module refuses": Host(
        "amd",
        {"next-load": ("fail", f"{KVM_CONF}:1 sets nested=Y", "would not load", "nested=1")},
        {KVM_CONF: "options kvm_amd nested=Y\n", AMD_NESTED: "1\n"},
    ),
    "another parameter that is refused": intel(
        {"next-load": ("fail", "ept=maybe", "remove it")},
        {KVM_CONF: "options kvm_intel ept=maybe\n"},
    ),
    "overridden by a later file": intel(
        {"overridden": ("warn", "/etc/modprobe.d/kvm_intel.conf:1 sets nested=0")},
        {
            KVM_CONF: "options kvm_intel nested=1\n",
            "/etc/modprobe.d/kvm_intel.conf": "options kvm_intel nested=0\n",
        },
    ),
    "overridden by the command line": intel(
        {"overridden": ("warn", "The kernel command line", "nested=0")},
        {
            KVM_CONF: "options kvm_intel nested=1\n",
            "/proc/cmdline": "root=/dev/sda1 kvm-intel.nested=0\n",
        },
    ),
    "not loaded": intel(
        {
            "module": ("fail", "not loaded", "modprobe kvm_intel"),
            "nested": (),
            "device": ("note", "not loaded"),
            "next-load": ("pass", "will be on"),
        },
        {"/sys/module/kvm_intel": None, "/dev/kvm": None},
    ),
    "no such module in this kernel": intel(
        {"module": ("fail", "has no module kvm_intel"), "nested": ()},
        {
            "/sys/module/kvm_intel": None,
            f"/lib/modules/{X86_RELEASE}/modules.dep": "kernel/fs/xfs/xfs.ko:\n",
        },
    ),
    "built in": intel(
        {
            "module": ("pass", "part of this kernel"),
            "builtin": ("note", "no effect", "kvm_intel.nested=1"),
            "nested": ("pass",),
            "next-load": (),
            "overridden": (),
            "initramfs": (),
        },
        BUILTIN_INTEL,
    ),
    "built in and off": intel(
        {"nested": ("fail", "add kvm_intel.nested=1 to the kernel command line")},
        {**BUILTIN_INTEL, INTEL_NESTED: "N\n"},
    ),
    "no modules until the next boot": intel(
        {"module-loading": ("warn", "until the next boot", "--at-boot")},
        {"/proc/sys/kernel/modules_disabled": "1\n"},
    ),
    "modprobe cannot be run": intel(
        {"modprobe": ("warn", "Permission denied", "assumed to read", "restart nestd")},
        {},
        kmod_problem="Permission denied",
    ),
    "blacklisted": intel(
        {"autoload": ("warn", "no-kvm.conf:2 keeps udev from loading kvm_intel", "modprobe")},
        {"/etc/modprobe.d/no-kvm.conf": "# for VirtualBox\nblacklist kvm_intel\n"},
    ),
    "forbidden on the command line": intel(
        {"autoload": ("fail", "module_blacklist=kvm_intel", "reboot")},
        {"/proc/cmdline": "ro module_blacklist=kvm_intel\n"},
    ),
    "an install line": intel(
        {"autoload": ("fail", "runs a command instead", "/bin/true")},
        {"/etc/modprobe.d/cis.conf": "install kvm_intel /bin/true\n"},
    ),
    "an install line that may load it": intel(
        {"autoload": ("warn", "runs a command instead", "cis.conf:1")},
        {"/etc/modprobe.d/cis.conf": "install kvm_intel /sbin/modprobe -i kvm_intel\n"},
    ),
    "an install line that a soft dependency takes the effect of": intel(
        {"autoload": ()},
        {"/etc/modprobe.d/a.conf": "softdep kvm_intel pre: kvm_amd\ninstall kvm_intel /bin/true\n"},
    ),
    "an install line of what is needed": intel(
        {"autoload": ("fail", "a.conf:1 runs a command instead of loading kvm (", "needs kvm")},
        {"/etc/modprobe.d/a.conf": "install kvm /bin/true\n"},
    ),
    "a blacklist line of what is needed": intel(
        {"autoload": (), "next-load": ("pass",)}, {"/etc/modprobe.d/a.conf": "blacklist kvm\n"}
    ),
    "an alias of what is needed": intel(
        {"autoload": (), "next-load": ("pass",)}, {"/etc/modprobe.d/a.conf": "alias kvm off\n"}
    ),
    "an alias": intel(
        {"autoload": ("fail", "a.conf:1", "alias kvm_intel off")},
        {"/etc/modprobe.d/a.conf": "alias kvm-intel off\n"},
    ),
    "a value that what is needed refuses": intel(
        {"autoload": ("fail", "a.conf:2 sets halt_poll_ns=off", "kvm_intel needs kvm")},
        {"/etc/modprobe.d/a.conf": "options kvm ignore_msrs=1\noptions kvm halt_poll_ns=off\n"},
    ),
    "what is needed is forbidden on the command line": intel(
        {"autoload": ("fail", "forbids loading kvm (", "grubby", "module_blacklist=nouveau")},
        {"/proc/cmdline": "ro module_blacklist=kvm,nouveau\n", "/usr/sbin/grubby": ""},
    ),
    "a dash on the command line": intel(
        {"autoload": (), "config-blacklist": ("note", "modprobe.blacklist=kvm-intel", "kvm_intel")},
        {"/proc/cmdline": "ro modprobe.blacklist=kvm-intel\n"},
    ),
    "a dash in module_blacklist": intel(
        {"autoload": (), "config-blacklist": ("note", "module_blacklist=kvm-intel,x")},
        {"/proc/cmdline": "ro module_blacklist=kvm-intel,x\n"},
    ),
    "blanks around the equals sign": intel(
        {
            "config-values": ("warn", "a.conf:1: there is a blank before the = of nested"),
            "config-parameters": (),  # the cause is told once
        },
        {"/etc/modprobe.d/a.conf": "options kvm_intel nested = 1\n"},
    ),
    "a semicolon": intel(
        {"config-values": ("warn", "a.conf:1: the semicolon of nested=1;")},
        {"/etc/modprobe.d/a.conf": "options kvm_intel nested=1;\n"},
    ),
    "a comma between two parameters": intel(
        {"config-values": ("warn", "a.conf:1: the comma of nested=0,ept=1")},
        {"/etc/modprobe.d/a.conf": "options kvm_intel nested=0,ept=1\n"},
    ),
    "a semicolon between two parameters, without a blank": intel(
        {"config-values": ("warn", "a.conf:1: the semicolon of nested=0;ept=1")},
        {"/etc/modprobe.d/a.conf": "options kvm_intel nested=0;ept=1\n"},
    ),
    "a typographic dash in the module's name": intel(
        {"config-module-names": ("warn", "a.conf:1: kvm\u2013intel is no module, kvm_intel is")},
        {"/etc/modprobe.d/a.conf": "options kvm\u2013intel nested=1\n"},
    ),
    "the module's file instead of its name": intel(
        {"config-module-names": ("warn", "a.conf:2: kvm_intel.ko is no module, kvm_intel is")},
        {"/etc/modprobe.d/a.conf": "# x\noptions kvm_intel.ko nested=1\n"},
    ),
    "the module in capital letters": intel(
        {"config-module-names": ("warn", "a.conf:1: KVM_Intel is no module, kvm_intel is")},
        {"/etc/modprobe.d/a.conf": "options KVM-Intel nested=1\n"},
    ),
    "a pattern of modules": intel(
        {"config-module-names": ("warn", "a.conf:1: kvm_* is no module")},
        {"/etc/modprobe.d/a.conf": "options kvm_* nested=1\n"},
    ),
    "another module that has kvm in its name": intel(
        {"config-module-names": ()},
        {"/etc/modprobe.d/a.conf": "options kvmgt x=1\noptions vfio-mdev kvm=1\n"},
    ),
    "off by another file": intel(
        {"nested": ("fail", "Write nested=1 in /etc/modprobe.d/zz.conf:1.", "nestctl reload")},
        {"/etc/modprobe.d/zz.conf": "options kvm_intel nested=0\n", INTEL_NESTED: "N\n"},
    ),
    "off by the kernel command line, as it is spelled there": intel(
        {
            "nested": (
                *("fail", '--remove-args="kvm-intel.nested=0 kvm_intel.nested=N"'),
                '--args="kvm_intel.nested=1"',
            )
        },
        {
            "/proc/cmdline": "ro kvm-intel.nested=0 quiet kvm_intel.nested=N\n",
            **{"/usr/sbin/grubby": "", INTEL_NESTED: "N\n"},
        },
    ),
    "off, and it could not be loaded again": intel(
        {"nested": ("fail", "Remove what keeps kvm_intel from being loaded")},
        {"/etc/modprobe.d/a.conf": "alias kvm_intel off\n", INTEL_NESTED: "N\n"},
    ),
    "nested=0 for the wrong module": intel(
        {"config-module": ("warn", "a.conf:1", "nestctl nested off.")},
        {"/etc/modprobe.d/a.conf": "options kvm nested=0\n"},
    ),
    "nested for the wrong module, where the command line decides": intel(
        {"config-module": ("warn", "then run update-grub")},
        {
            "/etc/modprobe.d/a.conf": "options kvm nested=1\n",
            **{"/proc/cmdline": "kvm_intel.nested=0\n", "/usr/sbin/update-grub": ""},
        },
    ),
    "a value for kvm on the command line that it refuses": intel(
        {"autoload": ("fail", "kvm_intel needs kvm", "remove kvm.ignore_msrs=maybe from")},
        {"/proc/cmdline": "ro kvm.ignore_msrs=maybe\n"},
    ),
    "an install line that only tells": intel(
        {"autoload": ("fail", "a.conf:1")},
        {"/etc/modprobe.d/a.conf": "install kvm_intel /bin/echo no KVM; exit 1\n"},
    ),
    "an install line that loads it": intel(
        {"autoload": ("warn", "a.conf:1")},
        {"/etc/modprobe.d/a.conf": "install kvm_intel /bin/true; modprobe -i kvm_intel\n"},
    ),
    "typographic quotation marks": intel(
        {"config-values": ("warn", "a.conf:1: typographic quotation marks")},
        {"/etc/modprobe.d/a.conf": "options kvm_intel \u201cnested=1\u201d\n"},
    ),
    "two modules on one line": intel(
        {"config-values": ("warn", "kvm_amd is no parameter", "line of its own")},
        {"/etc/modprobe.d/a.conf": "options kvm_intel ept=1 kvm_amd nested=1\n"},
    ),
    "the other vendor's module": intel(
        {"config-vendor": ("note", "a.conf:1 sets nested=1 for kvm_amd")},
        {"/etc/modprobe.d/a.conf": "options kvm-amd nested=1\n"},
    ),
    "a name that kmod does not read": intel(
        {"config-names": ("warn", "/etc/modprobe.d/kvm:2", ".conf")},
        {"/etc/modprobe.d/kvm": "# on\noptions kvm_intel nested=0\n"},
    ),
    "module-init-tools' file": intel(
        {"config-names": ("warn", "/etc/modprobe.conf:1")},
        {"/etc/modprobe.conf": "options kvm_intel nested=0\n"},
    ),
    "a backup of a package manager": intel(
        {"config-names": ()},
        {"/etc/modprobe.d/kvm.conf.rpmnew": "options kvm_intel nested=0\n"},
    ),
    "an unknown parameter of what is needed": intel(
        {"config-parameters": ("warn", "a.conf:1 sets ignore_msr", "modinfo -p kvm")},
        {"/etc/modprobe.d/a.conf": "options kvm ignore_msr=1\n"},
    ),
    "a copy in the initramfs": intel(
        {"initramfs": ("warn", "/boot/initramfs-5.img holds a copy", "dracut -f")},
        {},
        initramfs=Initramfs("/boot/initramfs-5.img", True),
    ),
    "a group of the device without a name": intel(
        {"device": ("note", "no name here", "root:104")},
        {},
        device=KvmDevice(True, True, 0o660, "root", "104"),
    ),
    "another group of the device": intel(
        {"device": ("warn", "neither", "root:users")},
        {},
        device=KvmDevice(True, True, 0o660, "root", "users"),
    ),
    "an automount that was not looked into": intel(
        {"initramfs": ("note", "holds no copy", "Not examined: /efi", "automount")},
        {},
        initramfs=Initramfs("/boot/initramfs-5.img", False, ("/efi",)),
    ),
    "an initramfs that nothing can list": intel(
        {"initramfs": ("note", "not known")},
        {},
        initramfs=Initramfs("/boot/initramfs-5.img", None),
    ),
    "a command in the place of an option": intel(
        {
            "config-lines": (
                "warn",
                f"{KVM_CONF}:1: modprobe kvm_intel nested=1",
                "options kvm_intel",
            )
        },
        {KVM_CONF: "modprobe kvm_intel nested=1\n"},
    ),
    "bad lines that have nothing to do with KVM": intel(
        {"config-lines": ("pass",)}, {"/etc/modprobe.d/sound.conf": "option snd index=1\n"}
    ),
    "a comment behind options": intel(
        {
            "config-comments": ("warn", f"{KVM_CONF}:1", "first column"),
            "config-parameters": ("warn", "sets #"),
        },
        {KVM_CONF: "options kvm_intel nested=0 # was nested=1\n"},
    ),
    "nested for the wrong module": intel(
        {"config-module": ("warn", f"{KVM_CONF}:1 sets it for kvm", "nestctl nested on")},
        {KVM_CONF: "options kvm nested=1\n"},
    ),
    "a parameter that there is not": intel(
        {"config-parameters": ("warn", "nest", "modinfo -p kvm_intel")},
        {KVM_CONF: "options kvm_intel nest=1\n"},
    ),
    "a file in modprobe.d that is too large": intel(
        {
            "config-files": (
                "fail",
                "No module can be loaded",
                "/etc/modprobe.d/odd.conf is larger",
            ),
            "next-load": (),
        },
        {"/etc/modprobe.d/odd.conf": b"#" * (1 << 21)},
    ),
    "a directory in modprobe.d": intel(
        {"config-files": ("warn", "is a directory")},
        {"/etc/modprobe.d/odd.conf/file": ""},
    ),
    "a directory in the place of kvm.conf": intel(
        {"config-files": ("warn", "cannot be read or edited")},
        {f"{KVM_CONF}/file": ""},
    ),
    "options for the other vendor's module": intel(
        {"config-vendor": ("note", "amd.conf:1 sets nested=1 for kvm_amd")},
        {"/etc/modprobe.d/amd.conf": "options kvm_amd nested=1\n"},
    ),
    "no /dev/kvm": intel({"device": ("fail", "there is no /dev/kvm")}, {"/dev/kvm": None}),
    "a file in the place of /dev/kvm": intel(
        {"device": ("fail", "10:232")}, {}, device=KvmDevice(True, False, 0o644, "root", "root")
    ),
    "/dev/kvm for root only": intel(
        {"device": ("warn", "root:root, mode 0600", "udevadm trigger")},
        {},
        device=KvmDevice(True, True, 0o600, "root", "root"),
    ),
    "/dev/kvm for its group": intel(
        {"device": ("pass", "group kvm")}, {}, device=KvmDevice(True, True, 0o660, "root", "kvm")
    ),
    "a guest of KVM": intel(
        {"host-virtualization": ("warn", "on KVM", "L3", "do not work properly")},
        {},
        virtualization="kvm",
    ),
    "a guest of VMware": intel(
        {"host-virtualization": ("warn", "on VMware", "not supported", "L3")},
        {},
        virtualization="vmware",
    ),
    "a cloud's machine": intel(
        {"host-virtualization": ("warn", "Amazon EC2", "not supported")},
        {},
        virtualization="amazon",
    ),
    "a container": intel(
        {"host-virtualization": ("note", "container (podman)")}, {}, virtualization="podman"
    ),
    "POWER8": Host(
        "power",
        {"cpu": ("fail", "POWER8 does not work")},
        {"/proc/cpuinfo": POWER9.replace("POWER9", "POWER8") + "MMU\t\t: Hash\n"},
    ),
    "POWER9 with the hash MMU": Host(
        "power",
        {"cpu": ("fail", "hash MMU", "disable_radix")},
        {"/proc/cpuinfo": POWER9 + "MMU\t\t: Hash\n"},
    ),
    "POWER9 that hides its MMU": Host(
        "power", {"cpu": ("note", "not known")}, {"/proc/cpuinfo": POWER9}
    ),
    "POWER, switched off": Host(
        "power",
        {"nested": ("fail", "kvm_hv.nested=N"), "next-load": ("warn", "off now")},
        {"/sys/module/kvm_hv/parameters/nested": "N\n"},
    ),
    "s390 without sie": Host(
        "s390",
        {"cpu": ("fail", "sie", "LPAR")},
        {"/proc/cpuinfo": "vendor_id       : IBM/S390\nfeatures\t: esan3 zarch stfle\n"},
    ),
    "s390 without facility 3": Host(
        "s390",
        {"cpu": ("warn", "facility 3")},
        {"/proc/cpuinfo": "vendor_id : IBM/S390\nfeatures\t: sie\nfacilities      : 0 1 2 4 6\n"},
    ),
    "s390, nested and hpage together": Host(
        "s390",
        {
            "huge-pages": ("fail", f"{KVM_CONF}:1 sets hpage", CLASH, "Invalid argument"),
            "next-load": (),
        },
        {
            KVM_CONF: "options kvm nested=1 hpage=1\n",
            S390_NESTED: "1\n",
            "/sys/module/kvm/parameters/hpage": "0\n",
        },
    ),
    "s390 with huge pages": Host(
        "s390",
        {"huge-pages": ("note", "there are huge pages")},
        {"/sys/module/kvm/parameters/hpage": "1\n"},
    ),
    "s390, a kernel that allows both": Host(
        "s390",
        {"huge-pages": ("pass", "allows huge pages")},
        {"/sys/module/kvm/parameters/hpage_2g": "N\n"},
    ),
    "amd, switched off": Host(
        "amd",
        {"nested": ("fail", "kvm_amd.nested=0"), "amd-migration": ("pass",)},
        {AMD_NESTED: "0\n"},
    ),
    "VirtualBox beside KVM": intel(
        {"virtualbox": ("warn", "VERR_VMX_IN_VMX_ROOT_MODE", "enable_virt_at_load=0")},
        {"/usr/lib/virtualbox/VBoxManage": ""},
    ),
    "VirtualBox, and KVM gives way": intel(
        {"virtualbox": ("note", "VERR_SVM_HOST_SVME_NOT_ENABLED", "enable_virt_at_load=1")},
        {
            "/etc/vbox/vbox.cfg": "INSTALL_DIR=/opt/VirtualBox\n",
            "/sys/module/kvm/parameters/enable_virt_at_load": "N\n",
        },
    ),
    "Debian": intel(
        {"host-system": ("note", "Debian GNU/Linux 12", "RHEL 8.2")},
        {"/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'},
    ),
    "RHEL 8.1": intel(
        {"host-system": ("note", "RHEL 8.1", "8.2")},
        {"/etc/os-release": 'ID="rhel"\nVERSION_ID="8.1"\n'},
    ),
    "libvirt knows": Host("amd", {"libvirt": ("pass", "is on")}, options={"libvirt": noted()}),
    "libvirt has not looked since": Host(
        "amd",
        {"libvirt": ("note", "was off; now it is on", "no restart", "virsh domcapabilities")},
        options={"libvirt": noted(nesting=False)},
    ),
    "libvirt found no KVM": Host(
        "amd", {"libvirt": ("note", "found no KVM")}, options={"libvirt": noted(kvm=False)}
    ),
    "QEMU offers no svm": Host(
        "amd", {"libvirt": ("warn", "offers no svm")}, options={"libvirt": noted(cpu=frozenset())}
    ),
}


@pytest.mark.parametrize("name", HOSTS)
def test_host(name: str, tmp_path: Path) -> None:
    host = HOSTS[name]
    found = findings(make_situation(tmp_path, host.kind, host.files, **host.options))
    for id_, words in host.expected.items():
        if not words:
            assert id_ not in found
            continue
        verdict, *parts = words
        finding = found[id_]
        assert finding.verdict.value == verdict, finding
        for part in parts:
            assert part in f"{finding.summary}\n{finding.hint}", finding


@pytest.mark.parametrize("name", HOSTS)
def test_findings_are_sentences_with_a_next_step(name: str, tmp_path: Path) -> None:
    host = HOSTS[name]
    found = findings(make_situation(tmp_path, host.kind, host.files, **host.options))
    assert found
    for finding in found.values():
        assert_well_put(finding)


def assert_well_put(finding: Finding) -> None:
    assert finding.summary.endswith(".")
    assert finding.summary.isprintable()
    assert "  " not in finding.summary
    if finding.verdict in (Verdict.WARN, Verdict.FAIL):
        assert finding.hint


def test_what_a_file_holds_reaches_no_terminal(tmp_path: Path) -> None:
    files = {KVM_CONF: b"kvm \x1b[31m\xff\r nested\n"}
    [line] = [
        each
        for each in findings(make_situation(tmp_path, files=files)).values()
        if each.id == "config-lines"
    ]
    assert line.verdict is Verdict.WARN
    assert "kvm ?[31m\\xff? nested" in line.summary


# Scripts and frontends know these: one that goes or gets another name breaks them.
IDS = """
    amd-migration architecture autoload builtin config-blacklist config-comments config-files
    config-lines config-module config-module-names config-names config-parameters config-values
    config-vendor cpu
    device host-system host-virtualization huge-pages hypervisors initramfs kernel
    kernel-command-line kvm libvirt modprobe module
    module-loading nested next-load overridden power-support power-xive support virtualbox
"""


def test_ids_are_stable(tmp_path: Path) -> None:
    ids: set[str] = set()
    for number, host in enumerate(HOSTS.values()):
        ids |= findings(
            make_situation(tmp_path / str(number), host.kind, host.files, **host.options)
        ).keys()
    assert ids == set(IDS.split())


def test_there_are_many_hosts() -> None:
    assert len(HOSTS) >= 30


@pytest.mark.parametrize(
    ("hypervisor", "words"),
    [
        ("kvm", "host-passthrough"),
        ("kvm", "qm set"),
        ("microsoft", "Set-VMProcessor"),
        ("wsl", "nestedVirtualization=true"),
        ("wsl", ".wslconfig"),
        ("vmware", "vhv.enable"),
        ("oracle", "--nested-hw-virt on"),
        ("xen", "nestedhvm=1"),
        ("parallels", "--nested-virt on"),
        ("amazon", "metal"),
        ("google", "enableNestedVirtualization=true"),
        ("vm-other", "host-passthrough"),
    ],
)
def test_the_hint_is_that_of_the_hypervisor_below(
    hypervisor: str, words: str, tmp_path: Path
) -> None:
    cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu hypervisor\n"
    found = findings(
        make_situation(tmp_path, "intel", {"/proc/cpuinfo": cpuinfo}, virtualization=hypervisor)
    )
    assert words in found["cpu"].hint
    assert "container" not in found["host-virtualization"].summary


VBOX_CFG = "INSTALL_DIR='/opt/VirtualBox'\nINSTALL_VER='{}'\nINSTALL_REV='1'\n"
DPKG = "Package: virtualbox-7.2\nStatus: {}\nSection: misc\nVersion: {}-170001~Debian~trixie\n"


@pytest.mark.parametrize(
    ("files", "value", "words"),
    [
        ({"/sys/module/vboxdrv/version": "7.0.26 r168464\n"}, "N", ("pass", "7.0.26")),
        ({"/sys/module/vboxdrv/version": "7.2.10 r170001\n"}, "Y", ("pass", "7.2.10")),
        ({"/etc/vbox/vbox.cfg": VBOX_CFG.format("7.2.12")}, "N", ("warn", "SVME_NOT_ENABLED")),
        ({"/etc/vbox/vbox.cfg": VBOX_CFG.format("7.2.9")}, "Y", ("warn", "IN_VMX_ROOT_MODE")),
        (
            {"/opt/VirtualBox/x": "", "/usr/src/vboxhost-7.10.0/Makefile": ""},
            "N",
            ("warn", "7.10.0", "nestctl set kvm enable_virt_at_load=1"),
        ),
        (
            {
                "/usr/lib/virtualbox/x": "",
                "/var/lib/dpkg/status": DPKG.format("install ok installed", "7.2.10"),
            },
            "Y",
            ("pass", "7.2.10"),
        ),
        (
            {
                "/usr/lib/virtualbox/x": "",
                "/var/lib/dpkg/status": DPKG.format("deinstall ok config-files", "7.2.10"),
            },
            "Y",
            ("warn", "version decides", "nestctl unload kvm"),
        ),
        (
            {
                "/etc/vbox/vbox.cfg": VBOX_CFG.format("7.2.12"),
                "/etc/modprobe.d/virtualbox.conf": "# why\noptions kvm enable_virt_at_load=0\n",
            },
            "N",
            ("warn", "enable_virt_at_load=1 in /etc/modprobe.d/virtualbox.conf:2"),
        ),
        (
            {
                "/etc/vbox/vbox.cfg": VBOX_CFG.format("7.2.12"),
                "/proc/cmdline": "quiet kvm.enable_virt_at_load=0\n",
                "/usr/sbin/grubby": "",
            },
            "N",
            (
                "warn",
                '--remove-args="kvm.enable_virt_at_load=0" --args="kvm.enable_virt_at_load=1"',
            ),
        ),
        (
            {
                **BUILTIN_INTEL,
                "/sys/module/kvm/initstate": None,
                "/sys/module/kvm/refcnt": None,
                f"/lib/modules/{X86_RELEASE}/modules.builtin": "a/kvm.ko\na/kvm-intel.ko\n",
                "/etc/vbox/vbox.cfg": VBOX_CFG.format("7.1.4"),
            },
            "Y",
            ("warn", "add kvm.enable_virt_at_load=0 to the kernel command line"),
        ),
    ],
)
def test_virtualbox_by_its_version_in_both_directions(
    files: Files, value: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    given = {**files, "/sys/module/kvm/parameters/enable_virt_at_load": f"{value}\n"}
    found = findings(make_situation(tmp_path, "intel", given))["virtualbox"]
    text = f"{found.verdict.value} {found.summary} {found.hint}"
    assert [word for word in words if word not in text] == [], text
    if "Set it" not in text:
        assert "nestctl set" not in text


@pytest.mark.parametrize("model", ["POWER10 (architected)", "POWER9 (architected)"])
def test_an_lpar_gives_its_guests_no_nested_hv(model: str, tmp_path: Path) -> None:
    cpuinfo = f"processor\t: 0\ncpu\t\t: {model}\nplatform\t: pSeries\nMMU\t\t: Radix\n"
    found = findings(make_situation(tmp_path, "power", {"/proc/cpuinfo": cpuinfo}))
    assert (found["cpu"].verdict.value, "LPAR" in found["cpu"].summary) == ("fail", True)


@pytest.mark.parametrize(
    ("kind", "line", "verdict"),
    [
        ("amd", "options kvm-intel nested=1\n", "note"),
        ("intel", "options kvm_amd nested=1 npt=1\n", "note"),
        ("intel", "options kvm_intel nested=1\n", ""),
        ("s390", "options kvm_intel nested=1\n", ""),
    ],
)
def test_options_of_the_other_vendors_module(
    kind: str, line: str, verdict: str, tmp_path: Path
) -> None:
    found = findings(make_situation(tmp_path, kind, {"/etc/modprobe.d/other.conf": line}))
    assert ("config-vendor" in found) == bool(verdict)
    if verdict:
        assert "other.conf:1" in found["config-vendor"].summary
        assert found["config-vendor"].verdict.value == verdict

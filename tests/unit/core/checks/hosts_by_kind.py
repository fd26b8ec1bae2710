# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts for Manager.Validate: each architecture and vendor."""

from __future__ import annotations

from collections.abc import Mapping

from situations import AMD_NESTED, KVM_CONF, S390_NESTED
from validated_host import CLASH, POWER9, Host

HOSTS_BY_KIND: Mapping[str, Host] = {
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
}

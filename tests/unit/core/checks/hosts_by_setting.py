# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts for Manager.Validate: nested as running, as configured, and after the next load."""

from __future__ import annotations

from collections.abc import Mapping

from situations import AMD_NESTED, INTEL_NESTED, KVM_CONF, S390_NESTED, X86_RELEASE
from validated_host import NO_FLAGS, Host, intel

HOSTS_BY_SETTING: Mapping[str, Host] = {
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
}

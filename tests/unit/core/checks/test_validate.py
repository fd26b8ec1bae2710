# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.Validate: hosts of all kinds, and the findings for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hosts_by_kind import HOSTS_BY_KIND
from hosts_by_setting import HOSTS_BY_SETTING
from hosts_by_surroundings import HOSTS_BY_SURROUNDINGS
from situations import (
    INTEL_NESTED,
    KVM_CONF,
    findings,
    make_situation,
)
from validated_host import BUILTIN_INTEL, Host, intel

from nestd.core.checks.finding import Finding, Verdict

HOSTS: Mapping[str, Host] = {
    **HOSTS_BY_KIND,
    **HOSTS_BY_SETTING,
    **HOSTS_BY_SURROUNDINGS,
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
            "config-parameters": (),  # the cause is reported once
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


# Scripts and frontends rely on these: removing or renaming one breaks them.
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

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the data for a support request is, and what must never be collected."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nestd.host.collect.log_files import Place
from nestd.host.modprobe.config import directories

# NAME.log; after rotation NAME.log.1 or NAME.log-20260101, either possibly with .gz or .xz.
_LOGS = ("*.log", "*.log.[0-9]*", "*.log-[0-9]*")
LOGS = (
    Place("/var/log/libvirt", _LOGS, "logs/libvirt"),
    Place("/var/log/libvirt/qemu", _LOGS, "logs/libvirt/qemu", follow=False),
)

NEVER = (
    "/run/libvirt/qemu/*.xml: what libvirt notes of running machines, passwords among it.",
    "/etc/libvirt/qemu and other definitions of machines, networks and storage: they hold passwords"
    " and what guests are configured with. Attach what `virsh dumpxml NAME` prints, without"
    " --security-info.",
    "/etc/libvirt/secrets, /var/lib/libvirt/secrets, master-key.aes: libvirt's secrets.",
    "Keys and certificates of TLS and SSH, Ceph's keyrings, SASL's databases of passwords.",
    "Core dumps, saved machines, snapshots, disk images: memory and data of guests.",
    "The environment of any process.",
)


def configuration(kmod: int) -> tuple[Place, ...]:
    """The configuration files of version KMOD of kmod, of libvirt and of nestd."""
    modprobe = [Place(path, ("*.conf",), f"config{path}") for path in directories(kmod)]
    return (
        *modprobe,
        Place("/etc/libvirt", ("*.conf",), "config/etc/libvirt"),
        Place("/etc/sysconfig", ("libvirtd", "virt*d"), "config/etc/sysconfig"),
        Place("/etc/default", ("libvirtd", "virt*d"), "config/etc/default"),
        Place("/etc/nestd", ("nestd.conf",), "config/etc/nestd"),
        Place("/etc", ("os-release",), "config/etc"),
        Place("/usr/lib", ("os-release",), "config/usr/lib"),
    )


@dataclass(frozen=True)
class Output:
    """A program whose output is collected: the lines that match only, all if it is None."""

    name: str
    command: tuple[str, ...]
    only: re.Pattern[bytes] | None = None


_JOURNAL = ("journalctl", "--no-pager", "--quiet", "--lines=20000", "--output=short-iso")
OUTPUTS = (
    Output(
        "libvirt-and-nestd.log",
        (*_JOURNAL, "--unit=libvirt*", "--unit=virt*d.service", "--unit=nestd.service"),
    ),
    Output(
        "kernel-about-kvm.log",
        (*_JOURNAL, "--dmesg"),
        re.compile(rb"kvm|nested|\bsvm\b|\bvmx\b|vt-x|hypervisor", re.IGNORECASE),
    ),
)

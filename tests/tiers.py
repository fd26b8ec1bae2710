# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test tiers: what each is for, what it needs from the system, and what is missing here.

A test without a tier's mark belongs to the tier "unit", which needs only a message bus and kmod. To
add a tier, add it to TIERS: the pytest mark, `pytest --tier NAME` and what tests/run installs
follow from there.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

SYSTEM_PYTHON = "/usr/bin/python3"
SEARCH_PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
SEARCH_PATH += ":/usr/lib/cockpit:/usr/libexec"


@dataclass(frozen=True)
class Need:
    """A program on the search path, or another resource, and the packages that provide it.

    Other resources: a file is named by its path, a shared library has ".so." in its name, a module
    of the system's Python is named by the command that runs it, "python3 -m NAME".
    """

    name: str
    debian: str
    fedora: str
    # The package conflicts with others that provide the same: it is skipped if that is present.
    conflicts: bool = False

    def is_met(self) -> bool:
        if self.name.startswith("python3 -m "):
            command = [SYSTEM_PYTHON, "-c", f"import {self.name.split()[-1]}"]
            found = os.path.exists(SYSTEM_PYTHON)
            return found and not subprocess.run(command, capture_output=True).returncode
        if self.name.startswith("/"):
            return os.path.exists(self.name)
        if ".so." not in self.name:
            return shutil.which(self.name, path=SEARCH_PATH) is not None
        try:
            ctypes.CDLL(self.name)
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Tier:
    about: str
    needs: tuple[Need, ...]
    root: bool = False
    by_default: bool = True
    """Whether tests/run runs it without a name; --all runs every tier."""
    # PyPI packages beyond the extra "test", by their import names.
    pip: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """What prevents the tier's tests from running here, in words; empty if nothing does."""
        needs = (*EVERYWHERE, *self.needs)
        words = [_describe(need) for need in needs if not need.is_met()]
        modules = [each for each in self.pip if importlib.util.find_spec(each) is None]
        words += [f"{module} (pip install {module})" for module in modules]
        return words + (["root"] if self.root and os.geteuid() != 0 else [])


# Every full distribution has these, but its container images may not.
EVERYWHERE = (
    Need("bash", "bash", "bash"),
    Need("cp", "coreutils", "coreutils"),
    Need("env", "coreutils", "coreutils"),
    Need("find", "findutils", "findutils"),
    Need("gzip", "gzip", "gzip"),
    Need("head", "coreutils", "coreutils"),
    Need("mount", "mount", "util-linux"),
    Need("sh", "dash", "bash"),
    Need("sleep", "coreutils", "coreutils"),
    Need("umount", "mount", "util-linux"),
    Need("unshare", "util-linux", "util-linux"),
)
_BUS = (
    Need("dbus-daemon", "dbus-daemon", "dbus-daemon"),
    Need("busctl", "systemd", "systemd"),
)
_IMAGE = (
    Need("mmdebstrap", "mmdebstrap", "mmdebstrap"),
    Need(
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "debian-archive-keyring",
        "debian-keyring",
    ),
)
_EMULATED = (
    *_IMAGE,
    Need("mkfs.ext4", "e2fsprogs", "e2fsprogs"),
    Need("qemu-system-x86_64", "qemu-system-x86", "qemu-system-x86-core"),
)

TIERS: Mapping[str, Tier] = {
    "unit": Tier(
        "formats, core and the service on a private bus",
        (
            *_BUS,
            Need("depmod", "kmod", "kmod"),
            Need("modprobe", "kmod", "kmod"),
            Need("systemd-analyze", "systemd", "systemd"),
        ),
    ),
    "hostile": Tier(
        "a user who floods, on both message buses, and what becomes of the others",
        (
            *_BUS,
            Need("dbus-broker-launch", "dbus-broker", "dbus-broker"),
        ),
        root=True,
        by_default=False,  # what others wait on dbus-broker is more than it may be
    ),
    "crash": Tier(
        "a change that is killed or fails at each of its system calls",
        (Need("strace", "strace", "strace"),),
        root=True,
    ),
    "vm": Tier(
        "the service on a Debian kernel with KVM modules, in an emulated machine",
        _EMULATED,
    ),
    "nesting": Tier(
        "guests that run guests of their own on a Debian kernel, in an emulated machine",
        _EMULATED,
        by_default=False,  # in it a guest's own guest is not seen to start yet
    ),
    "arch": Tier(
        "the service on the kernels of POWER9 and IBM Z, in emulated machines",
        (
            *_IMAGE,
            Need("cpio", "cpio", "cpio"),
            Need("qemu-system-ppc64", "qemu-system-ppc", "qemu-system-ppc-core"),
            Need("qemu-system-s390x", "qemu-system-misc", "qemu-system-s390x-core"),
        ),
    ),
    "nspawn": Tier(
        "the installed packages in a container that boots systemd",
        (
            *_IMAGE,
            Need("nsenter", "util-linux", "util-linux"),
            Need("systemd-nspawn", "systemd-container", "systemd-container"),
        ),
        root=True,
    ),
    "ansible": Tier(
        "the Ansible collection against simulated hosts, with ansible-core from PyPI",
        (
            *_BUS,
            Need("python3", "python3-venv", "python3"),
        ),
        root=True,
        by_default=False,  # its time on an idle machine has yet to be measured
    ),
    "confined": Tier(
        "the SELinux policy and the AppArmor profile, against those of Debian",
        (
            *_IMAGE,
            Need("systemd-nspawn", "systemd-container", "systemd-container"),
        ),
        root=True,
        by_default=False,
    ),
    "fresh": Tier(
        "the first commands on minimal Debian systems that nothing is installed on",
        (
            *_IMAGE,
            Need("systemd-nspawn", "systemd-container", "systemd-container"),
        ),
        root=True,
        by_default=False,
    ),
    "cockpit": Tier(
        "the page in Cockpit, used in a browser",
        (
            *_BUS,
            Need("cockpit-ws", "cockpit-ws", "cockpit-ws"),
            Need("cockpit-bridge", "cockpit-bridge", "cockpit-bridge"),
            Need("/usr/share/cockpit/shell/index.html", "cockpit-system", "cockpit-system"),
            Need("chromium", "chromium", "chromium"),
            Need("firefox-esr", "firefox-esr", "firefox"),
            *_IMAGE,
            Need("dpkg-deb", "dpkg", "dpkg"),
            Need("nsenter", "util-linux", "util-linux"),
            Need("systemd-nspawn", "systemd-container", "systemd-container"),
            Need("npm", "npm", "nodejs-npm", conflicts=True),
            Need("npx", "npm", "nodejs-npm", conflicts=True),
        ),
        root=True,
        pip=("playwright",),
        by_default=False,  # its time on an idle machine has yet to be measured
    ),
    "libvirt": Tier(
        "comparison with libvirt's own parsers",
        (
            Need("libvirt.so.0", "libvirt0", "libvirt-libs"),
            Need("libaugeas.so.0", "libaugeas0", "augeas-libs"),
            Need("/usr/share/augeas/lenses/libvirtd.aug", "libvirt-daemon", "libvirt-daemon"),
            Need("/usr/share/libvirt/schemas/domain.rng", "libvirt0", "libvirt-libs"),
        ),
    ),
    "machines": Tier(
        "nestctl with guests of the real libvirtd and QEMU, on KVM",
        (
            *_BUS,
            Need("/dev/kvm", "qemu-system-x86", "qemu-system-x86-core"),
            Need("libvirtd", "libvirt-daemon", "libvirt-daemon"),
            Need("nsenter", "util-linux", "util-linux"),
            Need("qemu-system-x86_64", "qemu-system-x86", "qemu-system-x86-core"),
            Need("virt-admin", "libvirt-clients", "libvirt-admin"),
            Need("virsh", "libvirt-clients", "libvirt-client"),
        ),
        root=True,
        by_default=False,  # some machines that run the tests have no /dev/kvm
    ),
    "libvirtd": Tier(
        "log settings and debug sessions of the real libvirtd, without drivers",
        (
            *_BUS,
            Need("libvirtd", "libvirt-daemon", "libvirt-daemon"),
            Need("virt-admin", "libvirt-clients", "libvirt-admin"),
        ),
        root=True,
    ),
}

# What single tests of the tier "unit" use if it is present: mark them needs("NAME").
OPTIONAL = {
    need.name: need
    for need in (
        Need("dbus-broker-launch", "dbus-broker", "dbus-broker"),
        Need("fish", "fish", "fish"),
        Need("git", "git", "git-core"),
        Need("libkmod.so.2", "libkmod2", "kmod-libs"),
        Need("libumockdev.so.0", "libumockdev0", "umockdev"),
        Need("journalctl", "systemd", "systemd"),
        Need("man", "man-db", "man-db"),
        Need("mandoc", "mandoc", "mandoc"),
        Need("msgfmt", "gettext", "gettext"),
        Need("pkaction", "polkitd", "polkit"),
        Need("promtool", "prometheus", "golang-github-prometheus"),
        Need("/usr/lib/polkit-1/polkitd", "polkitd", "polkit"),
        Need("sos", "sosreport", "sos"),
        Need("python3 -m dbusmock", "python3-dbusmock", "python3-dbusmock"),
        Need("virsh", "libvirt-clients", "libvirt-client"),
        Need("xmllint", "libxml2-utils", "libxml2"),
        Need("shellcheck", "shellcheck", "ShellCheck"),
        Need("tmux", "tmux", "tmux"),
        Need("umockdev-wrapper", "umockdev", "umockdev"),
        Need("zsh", "zsh", "zsh"),
    )
}


def missing(tier: str, names: Iterable[str]) -> list[str]:
    """What a test of that tier, marked needs(*names), is missing here.

    Raises KeyError for a name that is not in OPTIONAL.
    """
    optional = [OPTIONAL[name] for name in names]
    return TIERS[tier].missing() + [_describe(need) for need in optional if not need.is_met()]


def packages(tiers: Iterable[str], family: str) -> list[str]:
    """The packages to install for those tiers; family is "debian" or "fedora"."""
    needs = [*EVERYWHERE, *(need for tier in tiers for need in TIERS[tier].needs)]
    needs += OPTIONAL.values()
    needs = [need for need in needs if not (need.conflicts and need.is_met())]
    return sorted({str(getattr(need, family)) for need in needs})


def lacking(words: Iterable[str]) -> NoReturn:
    """Ends a test that cannot run here: skips it, or fails it in CI, where everything must run."""
    import pytest  # here, since tests/run reads this file before pytest is installed

    reason = "needs " + ", ".join(words)
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _describe(need: Need) -> str:
    return f"{need.name} (package {need.debian} in Debian, {need.fedora} in Fedora)"

# SPDX-License-Identifier: LGPL-2.1-or-later
"""/dev/kvm as a file. It is opened only on arm64, to ask KVM whether it nests.

On POWER and s390x opening it would load KVM; on arm64 KVM is part of the kernel image.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import stat
from dataclasses import dataclass

from nestd.host.root import Root

PATH = "/dev/kvm"
GROUP = "kvm"  # set by systemd's udev rule (50-udev-default.rules)
_NUMBER = os.makedev(10, 232)  # KVM_MINOR of include/linux/miscdevice.h
# include/uapi/linux/kvm.h
_CHECK_EXTENSION = 0xAE03
_CAP_ARM_EL2 = 240


@dataclass(frozen=True)
class KvmDevice:
    """The device node. owner and group are names, or numbers without a name."""

    exists: bool
    is_device: bool = False  # the right kind of file, with the right number
    mode: int = 0  # permission bits
    owner: str = ""
    group: str = ""

    @property
    def group_may_use(self) -> bool:
        """Whether the group kvm, which QEMU's user is in, may open it for reading and writing."""
        return self.group == GROUP and self.mode & 0o060 == 0o060

    @property
    def all_may_use(self) -> bool:
        """Whether everybody may open it for reading and writing."""
        return self.mode & 0o006 == 0o006


def read_device(root: Root) -> KvmDevice:
    """Read its state. On a simulated host it is a regular file (creating a device needs root)."""
    try:
        status = os.stat(root.at(PATH))
    except OSError:
        return KvmDevice(exists=False)
    right = stat.S_ISCHR(status.st_mode) and status.st_rdev == _NUMBER
    return KvmDevice(
        exists=True,
        is_device=right or not root.is_this_machine,
        mode=stat.S_IMODE(status.st_mode),
        owner=_user(status.st_uid),
        group=_group(status.st_gid),
    )


def arm_nests(root: Root) -> bool | None:
    """Whether arm64's KVM supports nested guests; None if it cannot be asked."""
    try:
        fd = os.open(root.at(PATH), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return fcntl.ioctl(fd, _CHECK_EXTENSION, _CAP_ARM_EL2) > 0
    except OSError:
        return None
    finally:
        os.close(fd)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)

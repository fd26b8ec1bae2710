# SPDX-License-Identifier: LGPL-2.1-or-later
"""KVM's debugfs counters of how often a virtual machine has entered a nested guest.

/sys/kernel/debug/kvm has a directory TID-FD for each virtual machine, whose files are sums over
its virtual CPUs. x86 counts nested_run (virt/kvm and arch/x86/kvm/x86.c; not shown by Linux 5.10),
IBM Z the guest's SIE instructions (arch/s390/kvm/vsie.c); POWER has no such counter. Under lockdown
nested_run cannot be read; guest_mode, a sample of the current instant, can.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from nestd.host.root import Root

DIRECTORY = "/sys/kernel/debug/kvm"
_COUNTS = ("nested_run", "instruction_sie")
_SAMPLE = "guest_mode"
_BYTES = 64


class Uncounted(Enum):
    """Why there is no count."""

    COUNTED = ""
    NO_DEBUGFS = "no-debugfs"  # not mounted, or not accessible
    NO_DIRECTORY = "no-directory"  # none for this virtual machine
    NO_COUNT = "no-count"  # this kernel has no such file
    LOCKDOWN = "lockdown"  # the kernel refuses reads
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class NestedRuns:
    """The count; running_now means that a virtual CPU was in a nested guest when it was read."""

    count: int = 0
    uncounted: Uncounted = Uncounted.COUNTED
    name: str = ""  # of the counter's file
    running_now: bool = False


class NestedRunsReader:
    """Reads debugfs once; its directories are listed only once."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._directories: Mapping[int, list[str]] | None = None
        base = str(root.at(DIRECTORY))
        try:
            names = os.listdir(base)
        except OSError:
            return
        directories: dict[int, list[str]] = {}
        for name in names:
            pid, dash, _ = name.partition("-")
            if dash and pid.isdigit():
                directories.setdefault(int(pid), []).append(f"{base}/{name}")
        self._directories = directories

    def of(self, pid: int) -> NestedRuns:
        """The sum over all virtual machines of the process PID."""
        if self._directories is None:
            return NestedRuns(uncounted=Uncounted.NO_DEBUGFS)
        directories = self._directories.get(pid) or self._of_threads(pid)
        found = [_read_one(directory) for directory in directories]
        if not found:
            return NestedRuns(uncounted=Uncounted.NO_DIRECTORY)
        if len(found) == 1:
            return found[0]
        failed = next((each for each in found if each.uncounted is not Uncounted.COUNTED), found[0])
        return NestedRuns(
            count=sum(each.count for each in found),
            uncounted=failed.uncounted,
            name=failed.name,
            running_now=any(each.running_now for each in found),
        )

    def _of_threads(self, pid: int) -> list[str]:
        """The directories; KVM names one after the thread that created it, QEMU's first one."""
        assert self._directories is not None
        try:
            threads = os.listdir(self._root.at(f"/proc/{pid}/task"))
        except OSError:
            return []
        return [path for each in threads for path in self._directories.get(int(each), ())]


def _read_one(directory: str) -> NestedRuns:
    for name in _COUNTS:
        try:
            return NestedRuns(_number(f"{directory}/{name}"), name=name)
        except FileNotFoundError:
            continue
        except OSError as error:
            locked = error.errno in (errno.EPERM, errno.EACCES)
            why = Uncounted.LOCKDOWN if locked else Uncounted.UNREADABLE
            return NestedRuns(uncounted=why, name=name, running_now=_in_guest_mode(directory))
        except ValueError:
            return NestedRuns(uncounted=Uncounted.UNREADABLE, name=name)
    gone = not os.path.exists(directory)
    return NestedRuns(
        uncounted=Uncounted.NO_DIRECTORY if gone else Uncounted.NO_COUNT,
        running_now=_in_guest_mode(directory),
    )


def _in_guest_mode(directory: str) -> bool:
    try:
        return _number(f"{directory}/{_SAMPLE}") > 0
    except (OSError, ValueError):
        return False


def _number(path: str) -> int:
    """Read a number. Raises OSError, ValueError. Uses plain calls: 200 machines take a few ms."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return int(os.read(fd, _BYTES))
    finally:
        os.close(fd)

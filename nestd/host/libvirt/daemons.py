# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemons on this host: which are installed, and which of them run.

virtlogd and virtlockd hold what running machines write to and lock: they are left out on purpose.
Nothing is asked of a daemon here, so none is started by looking.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nestd.host.root import Root

MONOLITHIC = "libvirtd"
_MODULAR = (
    *("virtqemud", "virtxend", "virtlxcd", "virtbhyved", "virtchd", "virtvboxd", "virtvzd"),
    *("virtnetworkd", "virtstoraged", "virtnodedevd", "virtsecretd", "virtinterfaced"),
    *("virtnwfilterd", "virtproxyd"),
)
NAMES = (MONOLITHIC, *_MODULAR)
CONFIG_DIRECTORY = "/etc/libvirt"
LOG_DIRECTORY = "/var/log/libvirt"
PID_DIRECTORY = "/run"
PROGRAM_DIRECTORIES = ("/usr/sbin", "/usr/bin")
_ADMIN_SOCKETS = "/run/libvirt"
_COMM_LENGTH = 15  # TASK_COMM_LEN less the NUL
_TICK_SECONDS = 0.1
_STARTED = 19  # starttime's place in /proc/PID/stat behind the name (proc_pid_stat(5))
# All that a daemon's environment is looked at for.
_VARIABLES = ("LIBVIRT_DEBUG", "LIBVIRT_LOG_FILTERS", "LIBVIRT_LOG_OUTPUTS")


@dataclass(frozen=True)
class DaemonProcess:
    """A daemon that runs. Two processes never have both pid and start in common."""

    pid: int
    start: int  # clock ticks after the boot
    arguments: tuple[str, ...]  # without the program's own name
    environment: Mapping[str, str]  # what in it concerns logging


def installed(root: Root) -> tuple[str, ...]:
    """The daemons whose program is here; configuration files may outlive theirs."""
    return tuple(
        name
        for name in NAMES
        if any(root.at(f"{directory}/{name}").exists() for directory in PROGRAM_DIRECTORIES)
    )


def program_file(root: Root, name: str) -> str:
    """Where the daemon's program is; where it would be if there is none."""
    places = [f"{directory}/{name}" for directory in PROGRAM_DIRECTORIES]
    return next((place for place in places if root.at(place).exists()), places[0])


def config_file(name: str) -> str:
    """The one file that the daemon reads (daemonConfigFilePath)."""
    return f"{CONFIG_DIRECTORY}/{name}.conf"


def fingerprint(path: Path) -> object:
    """What differs when a file was written or replaced, also behind a link.

    None for no file, and for one that was changed so lately that another change would not show in
    its time stamps, which are those of the kernel's timer tick.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    if time.time() - found.st_ctime < _TICK_SECONDS:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def admin_uri(root: Root, name: str) -> str:
    """The address of the daemon's admin server for virt-admin(1).

    virtproxyd listens on libvirtd's socket, and on no other. The socket is always named, for
    virt-admin takes the path from the build's own idea of /run.
    """
    server = MONOLITHIC if name == "virtproxyd" else name
    prefix = "libvirt" if server == MONOLITHIC else server
    socket = root.at(f"{_ADMIN_SOCKETS}/{prefix}-admin-sock")
    return f"{server}:///system?socket={quote(str(socket))}"


def read_process(root: Root, name: str) -> DaemonProcess | None:
    """The daemon as its pid file tells, None where it does not run."""
    try:
        pid = int(root.at(f"{PID_DIRECTORY}/{name}.pid").read_text("ascii")[:20])
        process = root.at(f"/proc/{pid}")
        comm = (process / "comm").read_text("utf-8", "replace").rstrip("\n")
        stat = (process / "stat").read_text("utf-8", "replace")
        start = int(stat.rpartition(")")[2].split()[_STARTED])
    except (OSError, ValueError, IndexError):
        return None
    if comm != name[:_COMM_LENGTH]:
        return None  # a pid file that its daemon left behind
    return DaemonProcess(
        pid=pid,
        start=start,
        arguments=tuple(_strings(f"{process}/cmdline")[1:]),
        environment=_environment(_strings(f"{process}/environ")),
    )


def _environment(entries: list[str]) -> Mapping[str, str]:
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, _, value in pairs if name in _VARIABLES}


def _strings(path: str) -> list[str]:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return [os.fsdecode(part) for part in file.read().split(b"\0")[:-1]]
    return []

# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemons on this host: which are installed, and which run.

virtlogd and virtlockd are excluded deliberately: running machines depend on their files and locks.
Nothing here contacts a daemon, so reading never starts one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
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
_STARTED = 19  # index of starttime in /proc/PID/stat after the name (proc_pid_stat(5))
# The relevant variables in a daemon's environment.
_VARIABLES = ("LIBVIRT_DEBUG", "LIBVIRT_LOG_FILTERS", "LIBVIRT_LOG_OUTPUTS")


@dataclass(frozen=True)
class DaemonProcess:
    """A running daemon; pid and start together identify the process."""

    pid: int
    start: int  # clock ticks since boot
    arguments: tuple[str, ...]  # without the program's name
    environment: Mapping[str, str]  # the variables that concern logging


def installed(root: Root) -> tuple[str, ...]:
    """The daemons whose program is installed; configuration files can outlive the program."""
    return tuple(
        name
        for name in NAMES
        if any(os.path.exists(root.at(f"{directory}/{name}")) for directory in PROGRAM_DIRECTORIES)
    )


def program_file(root: Root, name: str) -> str:
    """The path of the daemon's program; the usual path if it is not installed."""
    places = [f"{directory}/{name}" for directory in PROGRAM_DIRECTORIES]
    return next((place for place in places if os.path.exists(root.at(place))), places[0])


def config_file(name: str) -> str:
    """The one file that the daemon reads (daemonConfigFilePath)."""
    return f"{CONFIG_DIRECTORY}/{name}.conf"


def admin_uri(root: Root, name: str) -> str:
    """The address of the daemon's admin server for virt-admin(1).

    virtproxyd listens on libvirtd's socket only. The socket is always given explicitly, since
    virt-admin derives its default from a build option.
    """
    server = MONOLITHIC if name == "virtproxyd" else name
    prefix = "libvirt" if server == MONOLITHIC else server
    socket = root.at(f"{_ADMIN_SOCKETS}/{prefix}-admin-sock")
    return f"{server}:///system?socket={quote(str(socket))}"


def read_process(root: Root, name: str) -> DaemonProcess | None:
    """The daemon named by its pid file, None if it does not run."""
    try:
        pid = int(root.at(f"{PID_DIRECTORY}/{name}.pid").read_text("ascii")[:20])
        process = root.at(f"/proc/{pid}")
        comm = (process / "comm").read_text("utf-8", "replace").rstrip("\n")
        stat = (process / "stat").read_text("utf-8", "replace")
        start = int(stat.rpartition(")")[2].split()[_STARTED])
    except (OSError, ValueError, IndexError):
        return None
    if comm != name[:_COMM_LENGTH]:
        return None  # a stale pid file
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

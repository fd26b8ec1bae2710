# SPDX-License-Identifier: LGPL-2.1-or-later
"""The names of version 1 of the D-Bus interface: frozen."""

from __future__ import annotations

BUS_NAME = "org.nestd1"
MANAGER_PATH = "/org/nestd1"
MANAGER = "org.nestd1.Manager"
LOG_CONTROL_PATH = "/org/freedesktop/LogControl1"
NO_OBJECT = "/"


def module_path(name: str) -> str:
    """The object path of the module NAME; "/" for none."""
    return f"{MANAGER_PATH}/module/{name}" if name else NO_OBJECT


def log_daemon_path(name: str) -> str:
    """The object path of the libvirt daemon NAME."""
    return f"{MANAGER_PATH}/log/{name}"


def job_path(job_id: int) -> str:
    """The object path of the job JOB_ID."""
    return f"{MANAGER_PATH}/job/{job_id}"

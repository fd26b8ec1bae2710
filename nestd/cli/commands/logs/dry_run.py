# SPDX-License-Identifier: LGPL-2.1-or-later
"""The effects of log set and log debug for --dry-run, with the refusals of the service."""

from __future__ import annotations

from nestd.cli.invocation.session import Session
from nestd.cli.service.client import Options
from nestd.cli.service.errors import BUSY, DAEMON_UNAVAILABLE, INVALID_FILTER, CliError, Exit
from nestd.cli.service.values import LogDaemon

_MOST_SECONDS = 7 * 24 * 3600
Running = tuple[str, str]
"""The filters and outputs that a daemon uses now."""


def check_setting(daemon: LogDaemon, when: str) -> None:
    """Raises CliError if the running daemon's filters cannot be set."""
    if when != "start" and daemon.debug_until:
        text = f'{daemon.name} has a debug session: end it first, or use "start".'
        raise CliError(text, f"End it:\n  nestctl log debug {daemon.name} --stop",
                       Exit.BLOCKED, BUSY)  # fmt: skip
    if when == "runtime":
        _check_runs(daemon)


def setting_changes(
    when: str, diff: str, running: Running | None, filters: str, outputs: str | None
) -> bool:
    """Whether anything would change: the file or the running daemon's settings."""
    if when != "runtime" and diff:
        return True
    if when == "start" or running is None:
        return False
    return running[0] != filters or (outputs or running[1]).split() != running[1].split()


def check_limits(filters: str, seconds: int) -> None:
    """The checks that need no access to the host. Raises CliError."""
    if not filters.strip():
        text = "A debug session needs filters: without any there is no debug log."
        raise CliError(text, code=Exit.USAGE, name=INVALID_FILTER)
    if seconds > _MOST_SECONDS:
        text = f"A debug session lasts at most a week, {_MOST_SECONDS} seconds, not {seconds}."
        raise CliError(text, code=Exit.USAGE)


async def session_changes(
    session: Session, daemon: str, filters: str, options: Options
) -> tuple[bool, list[str], LogDaemon]:
    """Whether a session would start or change, warnings, and the daemon's state. Raises CliError.

    A session with the same filters continues unchanged.
    """
    outputs = str(options["outputs"].value) if "outputs" in options else ""
    shown_by = outputs or f"1:file:/var/log/libvirt/{daemon}-debug.log"  # the output that it adds
    canonical, warnings = await session.client.check_filters(daemon, filters, shown_by)
    if outputs:  # also checks their directories
        await session.client.plan_filters(daemon, canonical, options)
    now = await session.client.log_daemon(daemon)
    _check_runs(now)
    return not now.debug_until or now.debug_filters != canonical, warnings, now


def _check_runs(daemon: LogDaemon) -> None:
    if not (daemon.active or daemon.activation == "socket"):
        hint = f"Start it first:\n  systemctl start {daemon.name}"
        raise CliError(f"{daemon.name} does not run.", hint, name=DAEMON_UNAVAILABLE)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl log debug: debug logs for a limited time, with a countdown; restores the settings."""

from __future__ import annotations

import asyncio
import contextlib
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nestd.cli.commands.logs.dry_run import check_limits, session_changes
from nestd.cli.commands.logs.filters import add_filters, chosen_filters
from nestd.cli.invocation.argument_types import byte_count, duration, is_duration
from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen import formatting
from nestd.cli.screen.elements import GOOD, STRONG
from nestd.cli.service.client import Options
from nestd.cli.service.errors import DAEMON_UNAVAILABLE, CliError, Exit
from nestd.cli.service.values import Host, LogDaemon
from nestd.dbus.values import Variant
from nestd.formats.libvirt.log_presets import preset

_TICK_SECONDS = 1.0
_MAIN_DAEMONS = ("virtqemud", "libvirtd")
_DEFAULT_PRESET = "qemu"


def add_to(logs: Any) -> None:
    """Add the command."""
    about = "Write debug logs for a limited time"
    parser = add_command(logs, "debug", run, about, changes=True)
    help_ = "default: virtqemud or libvirtd, whichever this host uses"
    parser.add_argument("daemon", nargs="?", metavar="DAEMON", help=help_)
    add_filters(parser)
    parser.add_argument(
        "--for",
        dest="seconds",
        type=duration,
        default=600,
        metavar="TIME",
        help="for example 90s, 10m or 1h30m (default: 10m)",
    )
    help_ = "end early when the log has grown by this, for example 500M (default: nestd's, 1G)"
    parser.add_argument("--max-size", type=byte_count, metavar="SIZE", help=help_)
    help_ = "return at once; the session ends automatically"
    parser.add_argument("--no-wait", dest="wait", action="store_false", help=help_)
    parser.add_argument("--stop", action="store_true", help="end a session that runs")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, do nothing")


def _log_files(outputs: str) -> list[Path]:
    """The files among outputs such as "1:file:/var/log/libvirt/x.log"."""
    items = [each.split(":", 2) for each in outputs.split()]
    return [Path(each[2]) for each in items if len(each) == 3 and each[1] == "file"]


class _Written:
    """The size that a session has written: the growth of its files, else as the service reports."""

    def __init__(self, daemon: str, outputs: Iterable[str]) -> None:
        usual = Path(f"/var/log/libvirt/{daemon}-debug.log")
        files = [usual, *(file for each in outputs for file in _log_files(each))]
        self._before = {file: _size(file) or 0 for file in files}
        self.files: list[Path] = []
        self._told = 0

    def started(self, outputs: str) -> None:
        """Note that the session has started and logs to OUTPUTS."""
        self.files = _log_files(outputs)

    def update(self, daemon: LogDaemon) -> None:
        """Take what the service reports now; after the session it reports nothing."""
        if daemon.debug_file:
            self.files = [Path(daemon.debug_file)]
            self._told = daemon.debug_bytes

    def bytes(self) -> int | None:
        """The size in bytes; None if it cannot be read."""
        grown = [
            max(0, size - self._before.get(file, 0))
            for file in self.files
            for size in [_size(file)]
            if size is not None
        ]
        return sum(grown) if grown else self._told or None

    def __str__(self) -> str:
        written = self.bytes()
        return "" if written is None else formatting.size(written)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


async def run(session: Session, chosen: Namespace) -> Exit:
    """Start a session and, unless told otherwise, stay until it ends."""
    _sort_out(chosen)
    daemon = chosen.daemon or _usual_daemon(await session.client.host())
    if chosen.stop:
        return await _stop(session, daemon, dry_run=chosen.dry_run)
    filters = chosen_filters(chosen)
    if filters is None:
        filters = preset(_DEFAULT_PRESET).filters
    check_limits(filters, chosen.seconds)
    options: dict[str, Variant] = {}
    if chosen.outputs is not None:
        options["outputs"] = Variant("s", chosen.outputs)
    if chosen.max_size is not None:
        options["max_bytes"] = Variant("t", chosen.max_size)
    if chosen.dry_run:
        return await _dry_run(session, daemon, filters, options)
    written = _Written(daemon, [chosen.outputs or "", await _outputs(session, daemon)])
    try:
        await session.client.start_debug(daemon, filters, chosen.seconds, options)
    except CliError as error:
        hint = f"Start it first:\n  systemctl start {daemon}"
        raise CliError(
            *(error.text, hint if error.name == DAEMON_UNAVAILABLE else error.hint),
            *(error.code, error.name),
        ) from error
    if chosen.wait or session.private:
        return await _attend(session, daemon, chosen.seconds, written)
    screen = session.screen
    if screen.is_json:
        screen.json(await session.client.log_daemon(daemon))
        return Exit.DONE
    screen.say((f"{daemon} writes debug logs for {formatting.duration(chosen.seconds)}.", STRONG))
    screen.say("It then ends automatically. To end it earlier:")
    screen.commands(f"nestctl log debug {daemon} --stop")
    return Exit.DONE


def _sort_out(chosen: Namespace) -> None:
    """Tell the daemon from filters: only filters contain a colon. Raises CliError for a time."""
    given = [each for each in (chosen.daemon, *chosen.filters) if each]
    times = [each for each in given if is_duration(each)]
    if times:
        rest = [each for each in given if each not in times]
        hint = " ".join(["nestctl log debug", *rest, "--for", times[0]])
        raise CliError(f"{times[0]} is a time: give it with --for.", f"  {hint}", Exit.USAGE)
    if chosen.daemon and ":" in chosen.daemon:
        chosen.filters.insert(0, chosen.daemon)
        chosen.daemon = None


async def _outputs(session: Session, daemon: str) -> str:
    """The daemon's outputs before the session; "" if it cannot be queried."""
    with contextlib.suppress(CliError):
        return (await session.client.running_filters(daemon))[1]
    return ""


async def _dry_run(session: Session, daemon: str, filters: str, options: Options) -> Exit:
    """Print what starting a session would change."""
    changed, warnings, now = await session_changes(session, daemon, filters, options)
    if session.screen.is_json:
        session.screen.json({"changed": changed, "warnings": warnings, "log_daemon": now})
        return Exit.DONE
    if changed:
        session.screen.say(f"{daemon} would write debug logs.")
    else:
        session.screen.say(f"{daemon} writes these debug logs already: nothing to do.")
    for warning in warnings:
        session.screen.warn(warning)
    return Exit.DONE


async def _stop(session: Session, daemon: str, *, dry_run: bool) -> Exit:
    """End the session, if there is one."""
    before = await session.client.log_daemon(daemon)
    if not dry_run:
        await session.client.stop_debug(daemon)
    if session.screen.is_json:
        changed = bool(before.debug_until)
        after = await session.client.log_daemon(daemon)
        session.screen.json({"changed": changed, "log_daemon": after})
    elif before.debug_until and dry_run:
        session.screen.say(f"{daemon} would have its previous log settings again.")
    elif before.debug_until:
        session.screen.say((f"{daemon} has its previous log settings again.", GOOD))
    else:
        session.screen.say(f"No debug session of {daemon} runs: nothing to do.")
    return Exit.DONE


async def _attend(session: Session, daemon: str, seconds: int, written: _Written) -> Exit:
    """Stay until the session has ended; end it if nestctl is interrupted first."""
    screen = session.screen
    _, outputs = await session.client.running_filters(daemon)
    written.started(outputs)
    if not screen.is_json:
        screen.say((f"{daemon} writes debug logs. Reproduce the problem now.", STRONG))
        screen.say("Ctrl-C ends it early; either way the previous log settings are restored.")
        if written.files:
            screen.say(f"It goes to {', '.join(map(str, written.files))}")
    started = time.monotonic()
    try:
        await _count_down(session, daemon, seconds, written)
    except asyncio.CancelledError:
        await session.client.stop_debug(daemon)
    if screen.is_json:
        after = await session.client.log_daemon(daemon)
        files = list(map(str, written.files))
        screen.json({"log_daemon": after, "files": files, "bytes": written.bytes()})
        return Exit.DONE
    screen.say((f"{daemon} has its previous log settings again.", GOOD))
    if str(written):
        took = formatting.duration(time.monotonic() - started)
        where = ", ".join(map(str, written.files))
        screen.say(f"It wrote {written} in {took}, to {where}.")
    screen.say("To collect what a support request needs:")
    screen.commands("nestctl log collect -o logs.tar.gz")
    return Exit.DONE


async def _count_down(session: Session, daemon: str, seconds: int, written: _Written) -> None:
    """Show the remaining time until the service reports the end of the session."""
    changed = asyncio.Event()
    await session.client.on_signal(lambda signal: changed.set())
    await session.client.on_owner(lambda up: changed.set())
    changed.set()
    until = time.time() + seconds
    with session.screen.countdown(seconds) as show:
        while until:
            if changed.is_set():
                changed.clear()
                now = await session.client.log_daemon(daemon)
                written.update(now)
                until = now.debug_until / 1e6
            show(max(0.0, until - time.time()), str(written))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), _TICK_SECONDS)


def _usual_daemon(host: Host) -> str:
    """The daemon that runs virtual machines on this host. Raises CliError."""
    found = list(_candidates(host))
    if not found:
        names = ", ".join(host.log_daemons)
        hint = f"Say which daemon: {names}" if names else ""
        text = "Neither virtqemud nor libvirtd is installed on this host."
        raise CliError(text, hint)
    return found[0]


def _candidates(host: Host) -> Iterator[str]:
    installed = [each for name in _MAIN_DAEMONS for each in [host.log_daemons.get(name)] if each]
    yield from (each.name for each in installed if each.active)
    yield from (each.name for each in installed)

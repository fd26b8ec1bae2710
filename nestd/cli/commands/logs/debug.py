# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl log debug: debug logs for some time, with a countdown; then what was before."""

from __future__ import annotations

import asyncio
import contextlib
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

from rich.progress import BarColumn, Progress, TextColumn

from nestd.cli.commands.logs.filters import add_filters, chosen_filters
from nestd.cli.invocation.parser import add_command, byte_count, duration
from nestd.cli.invocation.session import Session
from nestd.cli.screen import words
from nestd.cli.screen.output import GOOD, STRONG
from nestd.cli.service.errors import CliError, Exit
from nestd.cli.service.values import Host
from nestd.dbus.connection.wire import Variant
from nestd.formats.libvirt.log_presets import preset

_TICK_SECONDS = 1.0
_MAIN_DAEMONS = ("virtqemud", "libvirtd")
_DEFAULT_PRESET = "qemu"


def add_to(logs: Any) -> None:
    """Add the command."""
    about = "Have debug logs for some time, then what was before"
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
    help_ = "return at once; it ends by itself"
    parser.add_argument("--no-wait", dest="wait", action="store_false", help=help_)
    parser.add_argument("--stop", action="store_true", help="end a session that runs")


def _log_files(outputs: str) -> list[Path]:
    """The files among outputs such as "1:file:/var/log/libvirt/x.log"."""
    items = [each.split(":", 2) for each in outputs.split()]
    return [Path(each[2]) for each in items if len(each) == 3 and each[1] == "file"]


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))


def _sizes(files: Sequence[Path]) -> str:
    """How much is in them; "" where there is no right to look."""
    known = [size for size in map(_size, files) if size is not None]
    return words.size(sum(known)) if known else ""


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


async def run(session: Session, chosen: Namespace) -> Exit:
    """Start a session, and see it to its end."""
    client, screen = session.client, session.screen
    if chosen.daemon and ":" in chosen.daemon:
        # No daemon has a colon in its name, every filter has.
        chosen.filters.insert(0, chosen.daemon)
        chosen.daemon = None
    daemon = chosen.daemon or _usual_daemon(await client.host())
    if chosen.stop:
        await client.stop_debug(daemon)
        screen.say((f"{daemon} logs again what it did before.", GOOD))
        return Exit.DONE
    filters = chosen_filters(chosen)
    if filters is None:
        filters = preset(_DEFAULT_PRESET).filters
    options: dict[str, Variant] = {}
    if chosen.outputs is not None:
        options["outputs"] = Variant("s", chosen.outputs)
    if chosen.max_size is not None:
        options["max_bytes"] = Variant("t", chosen.max_size)
    await client.start_debug(daemon, filters, chosen.seconds, options)
    if not chosen.wait and not session.private:
        screen.say((f"{daemon} writes debug logs for {words.duration(chosen.seconds)}.", STRONG))
        screen.say("It ends by itself then. To end it before:")
        screen.commands(f"{session.program} log debug {daemon} --stop")
        return Exit.DONE
    return await _attend(session, daemon, chosen.seconds)


async def _attend(session: Session, daemon: str, seconds: int) -> Exit:
    """Stay until the session has ended; if we have to go first, end it."""
    screen = session.screen
    _, outputs = await session.client.running_filters(daemon)
    files = _log_files(outputs)
    screen.say((f"{daemon} writes debug logs. Do now what goes wrong.", STRONG))
    screen.say("Ctrl-C ends it early; either way it logs afterwards what it did before.")
    if files:
        screen.say(f"It goes to {_listed(files)}")
    started = time.monotonic()
    try:
        await _count_down(session, daemon, seconds, files)
    except asyncio.CancelledError:
        await session.client.stop_debug(daemon)
    screen.say((f"{daemon} logs again what it did before.", GOOD))
    if _sizes(files):
        took = words.duration(time.monotonic() - started)
        screen.say(f"After {took} there are {_sizes(files)} in {_listed(files)}.")
    screen.say("To collect what a support request needs:")
    screen.commands(f"{session.program} log collect -o logs.tar.gz")
    return Exit.DONE


async def _count_down(session: Session, daemon: str, seconds: int, files: Sequence[Path]) -> None:
    """Show the time that is left until the service says that the session is over."""
    changed = asyncio.Event()
    await session.client.on_signal(lambda signal: changed.set())
    await session.client.on_owner(lambda up: changed.set())
    changed.set()
    until = time.time() + seconds
    with _progress(session, seconds) as show:
        while until:
            if changed.is_set():
                changed.clear()
                until = (await session.client.log_daemon(daemon)).debug_until / 1e6
            show(max(0.0, until - time.time()), _sizes(files))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), _TICK_SECONDS)


@contextlib.contextmanager
def _progress(session: Session, seconds: int) -> Iterator[Callable[[float, str], None]]:
    """Shows the seconds that are left and the size of the log, on a terminal."""
    if not session.screen.is_live:
        yield lambda left, size: None
        return
    with Progress(
        TextColumn("{task.fields[left]} left"),
        BarColumn(),
        TextColumn("{task.fields[size]}"),
        console=session.screen.out,
        auto_refresh=False,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=seconds, left="", size="")

        def show(left: float, size: str) -> None:
            progress.update(
                task, completed=seconds - left, left=words.duration(left), size=size, refresh=True
            )

        yield show


def _usual_daemon(host: Host) -> str:
    """The daemon that runs virtual machines here. Raises CliError."""
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

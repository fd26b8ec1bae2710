# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl log: adds its commands and implements show, set and presets."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from nestd.cli.commands.changes import outcome
from nestd.cli.commands.host.status import debug_session
from nestd.cli.commands.logs import collect, debug, dry_run
from nestd.cli.commands.logs.filters import add_filters, chosen_filters
from nestd.cli.invocation.parser import Parser, add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen import formatting
from nestd.cli.screen.elements import BAD, DIM, STRONG, WARN, Cell, fields, styled
from nestd.cli.screen.output import Screen
from nestd.cli.service.client import Options
from nestd.cli.service.errors import DAEMON_UNAVAILABLE, CliError, Exit
from nestd.cli.service.values import LogDaemon
from nestd.dbus.values import Variant
from nestd.formats.libvirt.log_presets import PRESETS

_LEVELS = (
    "Levels: " + ", ".join(f"{level} {name}" for level, name in formatting.LEVELS.items()) + "."
)
_ACTIVATION = {"running": "running", "socket": "started on demand", "stopped": "not running"}
_DEFAULT_OUTPUT = "libvirt's default, the journal"


def add_to(commands: Any) -> None:
    """Add the commands."""
    about = "Show, set and collect libvirt's logs: see nestctl log --help"
    parser = add_command(commands, "log", show, about)
    parser.set_defaults(daemon=None)
    logs = parser.add_subparsers(
        prog="nestctl log", title="commands", metavar="COMMAND", parser_class=Parser
    )
    about = "Show what libvirt's daemons log: configured, and now"
    parser = add_command(logs, "show", show, about)
    parser.add_argument("daemon", nargs="?", metavar="DAEMON", help="default: all of them")
    _add_set(logs)
    debug.add_to(logs)
    collect.add_to(logs)
    about = "List the filters that have a name"
    add_command(logs, "presets", presets, about).set_defaults(offline=True)


def _add_set(logs: Any) -> None:
    about = "Set what a libvirt daemon logs, permanently"
    parser = add_command(logs, "set", set_filters, about, changes=True)
    parser.add_argument("daemon", metavar="DAEMON", help="for example virtqemud or libvirtd")
    add_filters(parser)
    when = parser.add_mutually_exclusive_group()
    for option, word, help_ in (
        ("--now", "now", "in its file and, if it runs, at once (default)"),
        ("--runtime", "runtime", "in the running daemon only, until it ends"),
        ("--at-start", "start", "in its file only, used from its next start"),
    ):
        when.add_argument(
            option, dest="when", action="store_const", const=word, default="now", help=help_
        )
    parser.add_argument("--dry-run", action="store_true", help="show the plan, do nothing")


async def presets(screen: Screen, chosen: Namespace) -> Exit:
    """List the presets; needs no service."""
    if screen.is_json:
        found = [{"name": it.name, "filters": it.filters, "purpose": it.purpose} for it in PRESETS]
        screen.json({"presets": found})
        return Exit.DONE
    for each in PRESETS:
        screen.say((each.name, STRONG), f": {each.purpose}")
        screen.commands(each.filters)
    screen.say("")
    screen.say(f"{_LEVELS} The first filter that matches decides.")
    return Exit.DONE


async def show(session: Session, chosen: Namespace) -> Exit:
    """Show the log settings of daemons."""
    client = session.client
    if chosen.daemon is None:
        daemons = list((await client.host()).log_daemons.values())
    else:
        daemons = [await client.log_daemon(chosen.daemon)]
    running = {each.name: await _running(session, each.name) for each in daemons}
    if session.screen.is_json:
        session.screen.json({"log_daemons": [_document(each, running) for each in daemons]})
        return Exit.DONE
    if not daemons:
        session.screen.say("No libvirt daemon is installed on this host.")
        return Exit.DONE
    for each in daemons:
        session.screen.say((each.name, STRONG), f", {_runs(each)}")
        session.screen.show(fields(_rows(each, running[each.name])))
    session.screen.say("")
    session.screen.say((_LEVELS, DIM))
    return Exit.DONE


async def _running(session: Session, daemon: str) -> tuple[str, str] | None:
    """The daemon's current filters and outputs; None if it cannot be queried."""
    try:
        return await session.client.running_filters(daemon)
    except CliError:
        return None


def _document(daemon: LogDaemon, running: dict[str, tuple[str, str] | None]) -> dict[str, object]:
    now = running[daemon.name]
    used = {"filters": now[0], "outputs": now[1]} if now else None
    return {**daemon._asdict(), "running": used}


def _runs(daemon: LogDaemon) -> str:
    word = daemon.activation or ("running" if daemon.active else "stopped")
    return _ACTIVATION.get(word, word)


def _rows(daemon: LogDaemon, running: tuple[str, str] | None) -> Iterator[tuple[str, Cell]]:
    yield "Configured", formatting.filters(daemon.filters, daemon.level)
    yield "to", daemon.outputs or _DEFAULT_OUTPUT
    if running is not None:
        yield "Now", formatting.filters(running[0])
        yield "to", running[1] or _DEFAULT_OUTPUT
    yield "File", daemon.config_file
    if daemon.config_error:
        yield "Error", styled((daemon.config_error, BAD))
    if daemon.overridden_by:
        text = f"{daemon.overridden_by} overrides the file"
        yield "Overridden", styled((text, WARN))
    for warning in daemon.other_warnings:
        yield "Warning", styled((warning, WARN))
    if daemon.debug_until:
        yield "Debug logs", styled((debug_session(daemon), WARN))
        if daemon.debug_file:
            yield "to", daemon.debug_file


async def set_filters(session: Session, chosen: Namespace) -> Exit:
    """Set filters after the service has checked them."""
    client, daemon = session.client, chosen.daemon
    filters = chosen_filters(chosen)
    if filters is None:
        raise CliError(
            "Which filters?",
            "For example 1:qemu 3:remote, or --clear for none, or --preset NAME, one of:\n"
            "  nestctl log presets",
            Exit.USAGE,
        )
    canonical, warnings = await client.check_filters(daemon, filters, chosen.outputs or "")
    options = {} if chosen.outputs is None else {"outputs": Variant("s", chosen.outputs)}
    if chosen.dry_run:
        return await _dry_run(session, chosen, canonical, options)
    try:
        await client.set_filters(daemon, canonical, chosen.when, options)
    except CliError as error:
        raise _with_remedy(error, chosen) from error
    await report_set(session, daemon, chosen.when)
    for warning in warnings:
        session.screen.warn(warning)
    return Exit.DONE


async def report_set(session: Session, daemon: str, when: str) -> None:
    """Print what a daemon logs after its settings were changed."""
    after = await session.client.log_daemon(daemon)
    now = {after.name: await _running(session, daemon)}
    if session.screen.is_json:
        session.screen.json(_document(after, now))
    else:
        session.screen.say(_done(when, after))
        session.screen.show(fields(_rows(after, now[after.name])))


async def _dry_run(session: Session, chosen: Namespace, filters: str, options: Options) -> Exit:
    """Print what setting FILTERS would do, or how it would be refused."""
    plan = await session.client.plan_filters(chosen.daemon, filters, options)
    now = await session.client.log_daemon(chosen.daemon)
    dry_run.check_setting(now, chosen.when)
    if not session.screen.is_json:
        outcome.show_plan(session, plan, chosen.when)
        return Exit.DONE
    running = await _running(session, now.name)
    session.screen.json(
        {
            **plan._asdict(),
            "changed": dry_run.setting_changes(
                chosen.when, plan.diff, running, filters, chosen.outputs
            ),
            "log_daemon": _document(now, {now.name: running}),
        }
    )
    return Exit.DONE


def _with_remedy(error: CliError, chosen: Namespace) -> CliError:
    """The error with a remedy if the daemon cannot be queried."""
    if error.name != DAEMON_UNAVAILABLE:
        return error
    given = [*chosen.filters] if chosen.preset is None else ["--preset", chosen.preset]
    given += ["--clear"] if chosen.clear else []
    given += [] if chosen.outputs is None else ["--outputs", chosen.outputs]
    again = shlex.join([chosen.daemon, *given, "--at-start"])
    hint = f"What it logs from its next start on can still be set:\n  nestctl log set {again}"
    return CliError(error.text, hint, error.code, error.name)


def _done(when: str, daemon: LogDaemon) -> str:
    if when == "runtime":
        return f"{daemon.name} logs this until it ends."
    if when == "now" and daemon.active:
        return f"{daemon.name} logs this now, and after every start."
    return f"{daemon.name} logs this from its next start on."

# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl machines resume: starts the guests that an interrupted nestctl had stopped."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from nestd.cli.commands.machines.definitions import check_is_this_machine
from nestd.cli.commands.machines.stopping import Started, start_all
from nestd.cli.invocation.parser import Parser, add_command
from nestd.cli.invocation.session import Session
from nestd.cli.local import stopped_machines
from nestd.cli.screen.elements import GOOD
from nestd.cli.service.errors import CliError, Exit

_SETTLE_SECONDS = 120.0
AGAIN = "Try again once the cause is removed:\n  nestctl machines resume"


def add_to(commands: Any) -> None:
    """Add the command."""
    about = "Show guests that --stop-machines has left stopped"
    parser = add_command(commands, "machines", show, about)
    inner = parser.add_subparsers(
        prog="nestctl machines", title="commands", metavar="COMMAND", parser_class=Parser
    )
    about = "Start guests that --stop-machines has left stopped"
    add_command(inner, "resume", resume, about)


async def show(session: Session, chosen: Namespace) -> Exit:
    """List the guests that have not been started again."""
    check_is_this_machine(session)
    with stopped_machines.only_one():
        record = stopped_machines.read()
    if session.screen.is_json:
        session.screen.json({"machines": record})
    elif record:
        session.screen.say(f"To be started: {', '.join(each.name for each in record)}.")
        session.screen.commands("nestctl machines resume")
    else:
        session.screen.say("No guest is to be started.")
    return Exit.DONE


async def resume(session: Session, chosen: Namespace) -> Exit:
    """Start these guests."""
    check_is_this_machine(session)
    with stopped_machines.only_one():
        found = await start_all(session, _SETTLE_SECONDS)
    if session.screen.is_json:
        session.screen.json({"machines": found})
    elif not found:
        session.screen.say("No guest is to be started.")
    else:
        report_started(session, found)
    return result(found)


def report_started(session: Session, found: Sequence[Started]) -> None:
    """Print how each guest came back."""
    for each in found:
        good = each.how in ("restored", "booted", "runs")
        if good:
            session.screen.say((f"{each.text}.", GOOD))
        else:
            session.screen.warn(f"{each.text}.")


def result(found: Sequence[Started]) -> Exit:
    """Exit.DONE if all are back. Raises CliError otherwise."""
    missing = [each.name for each in found if each.how in ("failed", "asked")]
    if missing:
        raise CliError(f"Not all guests are running again: {', '.join(missing)}.", AGAIN)
    return Exit.DONE

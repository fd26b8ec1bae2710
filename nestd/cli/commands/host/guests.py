# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl guests and vms: the running virtual machines and their nesting.

guests deny and allow are in commands.machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from nestd.cli.commands.machines import definitions
from nestd.cli.invocation.parser import Parser, add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen.elements import Columns, columns
from nestd.cli.service.errors import Exit
from nestd.cli.service.values import Guest

_WATCH_SECONDS = 2.0
_NONE = "No KVM virtual machine runs."
_NONE_SEEN = "No KVM virtual machine was seen."
_OTHERS = "There may be more: nestd may not look at other users' processes."


def add_to(commands: Any) -> None:
    """Add the commands."""
    about = "List who has nesting and who has used it"
    parser = add_command(commands, "guests", guests, about)
    help_ = "keep running, and report who runs a guest of its own now"
    parser.add_argument("--watch", action="store_true", help=help_)
    inner = parser.add_subparsers(
        prog="nestctl guests", title="commands", metavar="COMMAND", parser_class=Parser
    )
    definitions.add_to(inner)
    add_command(commands, "vms", vms, "List the KVM virtual machines that run")


async def vms(session: Session, chosen: Namespace) -> Exit:
    """List virtual machines."""
    host = await session.client.host()
    if session.screen.is_json:
        session.screen.json({"machines": host.machines, "machines_known": host.machines_known})
        return Exit.DONE
    if host.machines:
        rows = [(each.name, str(each.pid), each.vmm, each.unit or "-") for each in host.machines]
        session.screen.show(columns(["NAME", "PID", "VMM", "UNIT"], rows))
    if not host.machines_known:
        session.screen.note(_OTHERS)
    elif not host.machines:
        session.screen.say(_NONE)
    return Exit.DONE


async def guests(session: Session, chosen: Namespace) -> Exit:
    """List virtual machines with their nesting."""
    are_all = (await session.client.host()).machines_known
    if not chosen.watch:
        _show(session, await session.client.guests(), (), False, are_all)
        if not are_all:
            session.screen.note(_OTHERS)
        return Exit.DONE
    with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is the normal end
        before: Sequence[Guest] = ()
        while True:
            found = await session.client.guests()
            _show(session, found, before, True, are_all)
            before = found
            await asyncio.sleep(_WATCH_SECONDS)
    return Exit.DONE


def _show(
    session: Session,
    found: Sequence[Guest],
    before: Sequence[Guest],
    watches: bool,
    are_all: bool,
) -> None:
    if session.screen.is_json:
        document = {"time": time.time(), "guests": found} if watches else {"guests": found}
        session.screen.json(document, indent=None if watches else 2)
        return
    if not found:
        session.screen.say(_NONE if are_all else _NONE_SEEN)
    else:
        session.screen.show(_table(found, before))
    for each in found if not watches else ():
        _explain(session, each)
    if watches:
        session.screen.say("")


def _table(found: Sequence[Guest], before: Sequence[Guest]) -> Columns:
    runs = {(each.pid, each.name): each.nested_runs for each in before}
    rows = []
    for each in found:
        grown = each.nested_runs - runs.get((each.pid, each.name), each.nested_runs)
        now = "runs one now" if grown > 0 else each.nesting
        rows.append((each.name, str(each.pid), each.vmm, each.exposed, now))
    return columns(["NAME", "PID", "VMM", "HAS NESTING", "GUESTS OF ITS OWN"], rows)


def _explain(session: Session, guest: Guest) -> None:
    """Print why an answer is not known."""
    if guest.exposed == "unknown" and guest.exposed_by:
        session.screen.note(
            f"{guest.name}: whether it has nesting is not known: {guest.exposed_by}"
        )
    if guest.nesting == "unknown" and guest.nesting_by:
        what = "whether it has run guests of its own is not known"
        session.screen.note(f"{guest.name}: {what}: {guest.nesting_by}")

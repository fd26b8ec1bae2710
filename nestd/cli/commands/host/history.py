# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl history: the latest changes and reloads, including those not made by nestd."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen.elements import columns
from nestd.cli.service.errors import Exit
from nestd.cli.service.values import Entry


def add_to(commands: Any) -> None:
    """Add the command."""
    add_command(commands, "history", run, "List the latest changes and reloads")


async def run(session: Session, chosen: Namespace) -> Exit:
    """List the entries, newest first."""
    entries = await session.client.history()
    if session.screen.is_json:
        session.screen.json({"history": entries})
    elif not entries:
        session.screen.say("Nothing has been changed yet.")
    else:
        titles = ["TIME", "WHAT", "SUBJECT", "RESULT", "DETAILS"]
        session.screen.show(columns(titles, map(_row, entries)))
        if next((each.undoable for each in entries if each.is_change), False):
            session.screen.say("")
            session.screen.say("To restore what the latest change replaced:")
            session.screen.commands("nestctl undo")
    return Exit.DONE


def _row(entry: Entry) -> tuple[str, ...]:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time / 1e6))
    who = f"uid {entry.uid}" if entry.uid >= 0 else ""
    details = ", ".join(filter(None, (entry.asked, who, entry.error)))
    return at, entry.kind, entry.subject, entry.result, details or "-"

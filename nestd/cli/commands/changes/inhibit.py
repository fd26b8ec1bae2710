# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl inhibit: blocks reloads of KVM modules while a program runs."""

from __future__ import annotations

import asyncio
import os
from argparse import REMAINDER, Namespace
from typing import Any

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen.elements import columns
from nestd.cli.service.errors import CliError, Exit


def add_to(commands: Any) -> None:
    """Add the command."""
    about = "Prevent reloads while a program runs, or list who does"
    parser = add_command(commands, "inhibit", run, about, changes=True)
    parser.add_argument("--who", help="who asks for it (default: the program)")
    parser.add_argument("--why", default="asked for with nestctl inhibit", help="for what reason")
    parser.add_argument("argument", nargs=REMAINDER, help="the program and its arguments")


async def run(session: Session, chosen: Namespace) -> int:
    """Run the program; returns its exit status."""
    command = chosen.argument[chosen.argument[:1] == ["--"] :]
    if not command:
        return await _list(session)
    guard = await session.client.inhibit(chosen.who or command[0], chosen.why)
    try:
        process = await asyncio.create_subprocess_exec(*command)
        status = await process.wait()
    except OSError as error:
        raise CliError(f"{command[0]} cannot be started: {error.strerror}.") from error
    finally:
        os.close(guard)
    return status if status >= 0 else 128 - status


async def _list(session: Session) -> Exit:
    inhibitors = (await session.client.host()).inhibitors
    if session.screen.is_json:
        session.screen.json({"inhibitors": inhibitors})
    elif not inhibitors:
        session.screen.say("Nothing prevents reloads of KVM modules.")
    else:
        rows = [(each.who, str(each.pid), str(each.uid), each.why) for each in inhibitors]
        session.screen.show(columns(["WHO", "PID", "UID", "WHY"], rows))
    return Exit.DONE

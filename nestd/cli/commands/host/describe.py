# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl describe: everything that nestd knows."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.service.errors import Exit


def add_to(commands: Any) -> None:
    """Add the command."""
    add_command(commands, "describe", run, "Print everything as one JSON document")


async def run(session: Session, chosen: Namespace) -> Exit:
    """Print the document as it comes; it is JSON with or without --json."""
    session.screen.write((await session.client.describe()).rstrip("\n") + "\n")
    return Exit.DONE

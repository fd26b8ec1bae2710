# SPDX-License-Identifier: LGPL-2.1-or-later
"""A question that the user answers on the terminal before a command acts."""

from __future__ import annotations

import asyncio
import os
import sys

from nestd.cli.invocation.session import Session
from nestd.cli.service.errors import CliError, Exit

_LONGEST = 1024


async def is_confirmed(session: Session, question: str) -> bool:
    """Whether the user says yes. Raises CliError if nobody can be asked."""
    if session.screen.is_json or not sys.stdin or not sys.stdin.isatty():
        text = "There is no terminal here to ask for confirmation."
        raise CliError(text, "Say so:\n  nestctl ... --yes", Exit.USAGE)
    session.screen.note(f"{question} [y/N]")
    loop = asyncio.get_running_loop()
    answered = loop.create_future()
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not answered.done():
            answered.set_result(os.read(descriptor, _LONGEST))

    loop.add_reader(descriptor, read)
    try:
        words: bytes = await answered
    finally:
        loop.remove_reader(descriptor)
    return words.strip().lower() in (b"y", b"yes")

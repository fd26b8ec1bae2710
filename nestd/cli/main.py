# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program nestctl: runs one command on a service and reports a failure in one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from nestd.cli import arguments
from nestd.cli.invocation import suggestions
from nestd.cli.screen.output import OutputError, Screen, discard_output
from nestd.cli.service.errors import CliError, Exit

if TYPE_CHECKING:
    from nestd.cli.local.private_service import PrivateService

_BY_SIGNAL = 128
"""The exit code of a program ended by a signal is this plus the signal's number."""


class _Interrupted(Exception):
    """A signal ended the command; the argument is its number."""


def main(given: Sequence[str] | None = None) -> int:
    """Run nestctl; returns the exit code."""
    words = sys.argv[1:] if given is None else given
    chosen = arguments.parse(words)
    host = suggestions.options(chosen)
    suggest = suggestions.suggester(suggestions.called(), host, words, arguments.COMMANDS)
    screen = Screen(suggest, json=chosen.json)
    try:
        return _run_to_end(chosen, screen)
    except BrokenPipeError:
        # The reader of the output has closed it; nothing more may be written, not even at exit.
        discard_output()
        return _BY_SIGNAL + signal.SIGPIPE


def _run_to_end(chosen: Namespace, screen: Screen) -> int:
    try:
        return asyncio.run(_with_signals(chosen, screen))
    except CliError as error:
        _trace(chosen)
        return _failure(screen, error)
    except _Interrupted as interrupted:
        return _BY_SIGNAL + int(interrupted.args[0])
    except BrokenPipeError:
        raise
    except Exception as error:
        _trace(chosen)
        text = f"Internal error: {type(error).__name__}: {error}"
        hint = "Please report it, with the output of:\n  nestctl ... --traceback"
        return _failure(screen, CliError(text, hint))


def _failure(screen: Screen, error: CliError) -> int:
    try:
        screen.failure(error)
    except OutputError as unwritten:  # with --json, when errors go to standard output
        screen.failure(unwritten)
        return Exit.FAILED
    return error.code


def _trace(chosen: Namespace) -> None:
    if chosen.traceback:
        import traceback

        traceback.print_exc()


async def _with_signals(chosen: Namespace, screen: Screen) -> int:
    """Run the command; signals end it cleanly."""
    task = asyncio.ensure_future(_run(chosen, screen))
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        raise _Interrupted(received[-1]) from None


async def _run(chosen: Namespace, screen: Screen) -> int:
    if chosen.offline:
        return int(await chosen.run(screen, chosen))
    from nestd.cli.invocation.session import Session
    from nestd.cli.service.client import Client

    async with _service(chosen) as private:
        client = await Client.connect(private.address if private else chosen.bus)
        session = Session(client, screen, private)
        asks = chosen.changes and chosen.ask_password and not private and not chosen.bus
        try:
            with _agent() if asks else contextlib.nullcontext():
                status: int = await chosen.run(session, chosen)
                return status
        finally:
            client.close()


def _agent() -> contextlib.AbstractContextManager[None]:
    from nestd.cli.local.polkit_agent import polkit_agent

    return polkit_agent()


@contextlib.asynccontextmanager
async def _service(chosen: Namespace) -> AsyncIterator[PrivateService | None]:
    if not chosen.standalone and chosen.simulate is None:
        yield None
        return
    from nestd.cli.local.private_service import private_service

    async with private_service(chosen.simulate, chosen.root, show_log=chosen.traceback) as private:
        yield private

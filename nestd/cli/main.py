# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program nestctl: one command on a service, with whatever goes wrong told in a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
import traceback
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence

from nestd.cli import arguments
from nestd.cli.invocation.session import Session
from nestd.cli.local.polkit_agent import polkit_agent
from nestd.cli.local.private_service import PrivateService, private_service
from nestd.cli.screen.output import Screen
from nestd.cli.service.client import Client
from nestd.cli.service.errors import CliError, Exit

_BY_SIGNAL = 128
"""The exit code of a program that a signal ended is this and the signal's number."""


class _Interrupted(Exception):
    """A signal ended the command; its number."""


def main(given: Sequence[str] | None = None) -> int:
    """Run nestctl; the exit code."""
    chosen = arguments.parse(sys.argv[1:] if given is None else given)
    screen = Screen()
    try:
        return asyncio.run(_with_signals(chosen, screen))
    except CliError as error:
        _trace(chosen)
        screen.failure(error)
        return error.code
    except _Interrupted as interrupted:
        return _BY_SIGNAL + int(interrupted.args[0])
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing more may go there, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BY_SIGNAL + signal.SIGPIPE
    except Exception as error:
        _trace(chosen)
        told = f"Internal error: {type(error).__name__}: {error}"
        screen.failure(CliError(told, "Please report it, with the output of: nestctl --traceback"))
        return Exit.FAILED


def _trace(chosen: Namespace) -> None:
    if chosen.traceback:
        traceback.print_exc()


async def _with_signals(chosen: Namespace, screen: Screen) -> int:
    """Run the command; signals end it in good order."""
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
    async with _service(chosen) as private:
        client = await Client.connect(private.address if private else chosen.bus)
        session = Session(client, screen, private, _program(chosen))
        asks = chosen.changes and chosen.ask_password and not private and not chosen.bus
        try:
            with polkit_agent() if asks else contextlib.nullcontext():
                status: int = await chosen.run(session, chosen)
                return status
        finally:
            client.close()


def _program(chosen: Namespace) -> str:
    words = ["nestctl"]
    words += ["--standalone"] if chosen.standalone else []
    words += ["--simulate", chosen.simulate] if chosen.simulate else []
    words += ["--root", shlex.quote(str(chosen.root))] if chosen.root else []
    words += ["--bus", shlex.quote(chosen.bus)] if chosen.bus else []
    return " ".join(words)


@contextlib.asynccontextmanager
async def _service(chosen: Namespace) -> AsyncIterator[PrivateService | None]:
    if not chosen.standalone and chosen.simulate is None:
        yield None
        return
    async with private_service(chosen.simulate, chosen.root, show_log=chosen.traceback) as private:
        yield private

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests a change, waits for it and reports the result: nested, set, reload, unload."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from typing import Callable, NamedTuple

from nestd.cli.commands.changes import jobs, outcome
from nestd.cli.invocation.session import Session
from nestd.cli.service.client import Blocked
from nestd.cli.service.errors import OVERRIDDEN, STALE_PLAN, CliError, Exit
from nestd.cli.service.values import Module

_AT_ONCE_SECONDS = 5.0
_PATIENCE_SECONDS = 0.7


class Request(NamedTuple):
    """A requested change."""

    module: Module  # its state before the change
    parameters: Mapping[str, str]
    run: Callable[[], Awaitable[int]]  # returns the number of the job
    again: str  # the command without the options that say when


async def apply(session: Session, request: Request, when: str, *, stay: bool) -> Exit:
    """Request the change and report the result; with STAY wait until the job has ended."""
    client, name = session.client, request.module.name
    try:
        number = await _patiently(session, request)
    except Blocked as refused:
        return await _refused(session, request, refused)
    except CliError as error:
        raise _with_remedy(error, request) from error
    waits = bool(number) and when == "idle"
    if waits:
        waits = not await _waited(session, name, number, stay=stay or bool(session.private))
    host = await client.host()
    after = host.modules[name]
    if session.screen.is_json:
        changed = outcome.changed(request.module, after) or bool(number)
        session.screen.json({"changed": changed, "job": number, "module": after})
    elif waits:
        job = next((each for each in host.jobs if each.id == number), None)
        blockers = await client.blockers(name)
        outcome.show_job(session, job, blockers, written=bool(request.parameters))
    else:
        done = outcome.what_happened(request.module, after, when, bool(number))
        outcome.show(session, host, name, request.parameters, done)
        outcome.show_side_effect(session, request.module, after, request.parameters)
    return Exit.DONE


async def _patiently(session: Session, request: Request) -> int:
    """Request the change; show progress if it takes long."""
    asking = asyncio.ensure_future(request.run())
    try:
        await asyncio.wait({asking}, timeout=_PATIENCE_SECONDS)
        if not asking.done() and session.screen.is_live:
            with session.screen.waiting() as show:
                show(f"Waiting for nestd, which is working on {request.module.name} ...")
                await asyncio.wait({asking})
        return await asking
    finally:
        asking.cancel()


async def _refused(session: Session, request: Request, refused: Blocked) -> Exit:
    """Report what is in the way, and the alternatives."""
    found = await session.client.blockers(request.module.name)
    if session.screen.is_json:
        raise CliError(refused.text, "", refused.code, refused.name, found) from refused
    outcome.explain_blocked(session, refused, request.module.name, found)
    outcome.offer(session, request.again, boot=bool(request.parameters))
    return refused.code


def _with_remedy(error: CliError, request: Request) -> CliError:
    """The error with a remedy for this request."""
    hint = error.hint
    if error.name == STALE_PLAN and request.parameters:
        assigned = " ".join(f"{name}={value}" for name, value in request.parameters.items())
        hint = f"Look at the new plan:\n  nestctl plan {request.module.name} {assigned}"
    elif error.name == OVERRIDDEN:
        hint = "See which line decides, and what can be done:\n  nestctl validate"
    return CliError(error.text, hint, error.code, error.name, error.blockers)


async def _waited(session: Session, module: str, number: int, *, stay: bool) -> bool:
    """Whether the job has succeeded, at once or, with STAY, after a wait."""
    if stay:
        outcome.explain_interrupt(session, number)
        await jobs.follow(session, number)
        return True
    if await session.client.blockers(module):
        return False
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(jobs.follow(session, number, quiet=True), _AT_ONCE_SECONDS)
        return True
    return False

# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl wait: waits until a job has ended, or for a limited time."""

from __future__ import annotations

import asyncio
import contextlib
from argparse import Namespace
from typing import Any

from nestd.cli.commands.changes import jobs
from nestd.cli.invocation.argument_types import duration, job_number
from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen import formatting
from nestd.cli.service.errors import Exit
from nestd.cli.service.values import JOB_ENDS, Job


def add_to(commands: Any) -> None:
    """Add the command."""
    about = "Wait until a job has ended"
    parser = add_command(commands, "wait", run, about)
    parser.add_argument("job", type=job_number, metavar="JOB", help="its number")
    help_ = "at most this long, for example 90s or 10m (default: until it has ended)"
    parser.add_argument("--for", dest="seconds", type=duration, metavar="TIME", help=help_)


async def run(session: Session, chosen: Namespace) -> Exit:
    """Wait; exits with done, failed, or blocked if the job still waits."""
    with contextlib.suppress(asyncio.TimeoutError):
        if not session.screen.is_json:
            return await asyncio.wait_for(jobs.follow(session, chosen.job), chosen.seconds)
        await asyncio.wait_for(_ended(session, chosen.job), chosen.seconds)
    job = await session.client.job(chosen.job)
    if session.screen.is_json:
        session.screen.json({"job": job})
    else:
        session.screen.say(f"{formatting.job(job)}.")
    return _status(job)


async def _ended(session: Session, number: int) -> None:
    changed = asyncio.Event()
    await session.client.on_signal(lambda signal: changed.set())
    await session.client.on_owner(lambda up: changed.set())
    while (await session.client.job(number)).state not in JOB_ENDS:
        await changed.wait()
        changed.clear()


def _status(job: Job) -> Exit:
    if job.state not in JOB_ENDS:
        return Exit.BLOCKED
    return Exit.DONE if job.state == "done" else Exit.FAILED

# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl jobs and cancel; follows a job to its end."""

from __future__ import annotations

import asyncio
import time
from argparse import Namespace
from typing import Any

from nestd.cli.invocation.argument_types import job_number
from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen import formatting
from nestd.cli.screen.elements import columns
from nestd.cli.service.errors import RELOAD_FAILED, ROLLED_BACK, CliError, Exit
from nestd.cli.service.values import JOB_ENDS, Job


def add_to(commands: Any) -> None:
    """Add the commands."""
    add_command(commands, "jobs", show, "List reloads that are waiting or running")
    about = "Cancel a waiting reload"
    parser = add_command(commands, "cancel", cancel, about, changes=True)
    parser.add_argument("job", type=job_number, metavar="JOB", help="its number")


async def show(session: Session, chosen: Namespace) -> Exit:
    """List jobs."""
    host = await session.client.host()
    if session.screen.is_json:
        session.screen.json({"jobs": host.jobs})
        return Exit.DONE
    if not host.jobs:
        session.screen.say("No job is waiting or running.")
        return Exit.DONE
    rows = [
        (str(each.id), f"{each.kind} of {each.module}", each.state, _age(each), _waits_for(each))
        for each in host.jobs
    ]
    titles = ["JOB", "WHAT", "STATE", "SINCE", "WAITS FOR"]
    if not any(each.since for each in host.jobs):
        titles.remove("SINCE")
        rows = [(*row[:3], row[4]) for row in rows]  # type: ignore[misc]
    session.screen.show(columns(titles, rows))
    return Exit.DONE


def _age(job: Job) -> str:
    return formatting.duration(time.time() - job.since / 1e6) if job.since else "-"


def _waits_for(job: Job) -> str:
    return formatting.listed([formatting.blocker(each) for each in job.blockers]) or "-"


async def cancel(session: Session, chosen: Namespace) -> Exit:
    """Cancel a job."""
    job = await session.client.job(chosen.job)
    await session.client.cancel(chosen.job)
    if session.screen.is_json:
        session.screen.json({"changed": True, "job": job.id})
        return Exit.DONE
    session.screen.say(f"Job {job.id} is cancelled. {formatting.KVM_CONF} stays as it is written:")
    session.screen.say(f"the next load of {job.module} or the next boot uses it.")
    return Exit.DONE


async def follow(session: Session, number: int, *, quiet: bool = False) -> Exit:
    """Show a job's progress until it has ended. Raises CliError unless it succeeded.

    QUIET is for a job that should end at once: shows progress only on a terminal, in place.
    """
    changed = asyncio.Event()
    await session.client.on_signal(lambda signal: changed.set())
    await session.client.on_owner(lambda up: changed.set())
    with session.screen.waiting() as tell:
        while True:
            changed.clear()
            job = await session.client.job(number)
            if job.state in JOB_ENDS:
                return _result(job)
            if session.screen.is_live or not quiet:
                tell(formatting.job(job))
            await changed.wait()


def _result(job: Job) -> Exit:
    if job.state == "done":
        return Exit.DONE
    if job.state == "cancelled":
        raise CliError(f"Job {job.id} was cancelled, or replaced by a later request.")
    name = ROLLED_BACK if job.state == "rolled-back" else RELOAD_FAILED
    raise CliError(job.error or f"Job {job.id} has {job.state}.", name=name)

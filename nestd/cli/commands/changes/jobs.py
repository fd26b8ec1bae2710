# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl jobs and cancel; and how a job is followed to its end."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from typing import Any

from nestd.cli.invocation.parser import add_command, job_number
from nestd.cli.invocation.session import Session
from nestd.cli.screen import words
from nestd.cli.screen.output import columns
from nestd.cli.service.errors import CliError, Exit
from nestd.cli.service.values import JOB_ENDS, Job


def add_to(commands: Any) -> None:
    """Add the commands."""
    about = "List reloads that wait or are under way"
    add_command(commands, "jobs", show, about, json=True)
    about = "Give up a waiting reload"
    parser = add_command(commands, "cancel", cancel, about, changes=True)
    parser.add_argument("job", type=job_number, metavar="JOB", help="its number")


async def show(session: Session, chosen: Namespace) -> Exit:
    """List jobs."""
    host = await session.client.host()
    if chosen.json:
        session.screen.json({"jobs": host.jobs})
        return Exit.DONE
    if not host.jobs:
        session.screen.say("No job waits or is under way.")
        return Exit.DONE
    rows = [
        (str(each.id), f"reload of {each.module}", each.state, _waits_for(each))
        for each in host.jobs
    ]
    session.screen.show(columns(["JOB", "WHAT", "STATE", "WAITS FOR"], rows))
    return Exit.DONE


def _waits_for(job: Job) -> str:
    return words.listed([words.blocker(each) for each in job.blockers]) or "-"


async def cancel(session: Session, chosen: Namespace) -> Exit:
    """Give up a job."""
    job = await session.client.job(chosen.job)
    await session.client.cancel(chosen.job)
    session.screen.say(f"Job {job.id} is cancelled. {words.KVM_CONF} stays as it is written:")
    session.screen.say(f"the next load of {job.module} or the next boot uses it.")
    return Exit.DONE


async def follow(session: Session, number: int) -> Exit:
    """Show how far a job is until it has ended. Raises CliError where it did not succeed."""
    changed = asyncio.Event()
    await session.client.on_signal(lambda signal: changed.set())
    await session.client.on_owner(lambda up: changed.set())
    screen = session.screen
    live = screen.out.status("") if screen.is_live else None
    told = ""
    if live is not None:
        live.start()
    try:
        while True:
            changed.clear()
            job = await session.client.job(number)
            if job.state in JOB_ENDS:
                break
            sentence = words.job(job)
            if live is not None:
                live.update(sentence)
            elif sentence != told:
                screen.say(sentence)
            told = sentence
            await changed.wait()
    finally:
        if live is not None:
            live.stop()
    return _result(job)


def _result(job: Job) -> Exit:
    if job.state == "done":
        return Exit.DONE
    if job.state == "cancelled":
        raise CliError(f"Job {job.id} was cancelled, or replaced by a later request.")
    raise CliError(job.error or f"Job {job.id} has {job.state}.")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stops guests and starts them again; records those that are off in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Callable, NamedTuple

from nestd.cli.commands.machines.inventory import SAVE, Machine, Stop, obstacle
from nestd.cli.invocation.session import Session
from nestd.cli.local import stopped_machines
from nestd.cli.local.domains import RUNNING, SHUT_OFF, Domain, Domains
from nestd.cli.local.stopped_machines import Stopped
from nestd.cli.local.virsh import VirshError, VirshTimeout
from nestd.cli.screen import formatting
from nestd.cli.service.errors import CliError

_PAUSE = 0.5
_RESTORED = "restored"


class StopFailed(CliError):
    """A guest could not be stopped."""


class Started(NamedTuple):
    """How a guest came back; how is "restored", "booted", "runs", "asked", "gone", "failed"."""

    name: str
    how: str
    why: str = ""

    @property
    def text(self) -> str:
        """The result in words."""
        outcomes = {
            "restored": "goes on where it was",
            "booted": "has booted again",
            "runs": "runs, and was not stopped",
            "asked": "still runs, and may yet shut down as it was asked to",
            "gone": "is no longer there",
        }
        return f"{self.name} {outcomes.get(self.how, self.why)}"


async def stop_all(session: Session, machines: Sequence[Machine], stop: Stop, limit: float) -> None:
    """Stop them. Raises StopFailed if one cannot be saved or is not off after LIMIT seconds."""
    with session.screen.waiting() as tell:
        if stop.how == SAVE:
            await _save(session, machines, stop, limit, tell)
        else:
            await _shut_down(machines, limit, tell)


async def _save(
    session: Session,
    machines: Sequence[Machine],
    stop: Stop,
    limit: float,
    tell: Callable[[str], None],
) -> None:
    for machine in machines:
        domain = machine.domain
        assert domain is not None
        # It may have started a guest of its own since the first look.
        now = {each.pid: each for each in await session.client.guests()}
        if machine.guest.pid not in now:
            raise StopFailed(f"{domain.name} has ended meanwhile.")
        in_the_way = obstacle(machine._replace(guest=now[machine.guest.pid]), stop)
        if in_the_way is not None:
            raise StopFailed(f"{formatting.blocker(in_the_way)}: {in_the_way.detail}.")
        _remember(domain, saved=True)
        tell(f"{domain.name} is being saved ...")
        try:
            await Domains().save(domain.uuid, limit)
        except VirshTimeout:
            text = f"{domain.name} could not be saved within {formatting.duration(limit)}."
            raise StopFailed(text) from None
        except VirshError as error:
            raise StopFailed(f"{domain.name} cannot be saved: {error.reason}.") from error


async def _shut_down(
    machines: Sequence[Machine], limit: float, tell: Callable[[str], None]
) -> None:
    domains = [machine.domain for machine in machines if machine.domain is not None]
    for domain in domains:
        _remember(domain, saved=False)
        try:
            await Domains().shut_down(domain.uuid)
        except VirshError as error:
            raise StopFailed(f"{domain.name} cannot be shut down: {error.reason}.") from error
    deadline = time.monotonic() + limit
    while True:
        found = await Domains().these([each.uuid for each in domains])
        running = [each.name for each in found if each.state != SHUT_OFF]
        if not running:
            return
        tell(f"Waiting for {formatting.listed(running)} to shut down ...")
        if time.monotonic() > deadline:
            names = ", ".join(running)
            raise StopFailed(f"Not shut down within {formatting.duration(limit)}: {names}.")
        await asyncio.sleep(_PAUSE)


def _remember(domain: Domain, *, saved: bool) -> None:
    """Record that it was stopped, before it is."""
    before = [each for each in stopped_machines.read() if each.uuid != domain.uuid]
    stopped_machines.write([*before, Stopped(domain.uuid, domain.name, saved)])


async def start_all(session: Session, settle: float) -> list[Started]:
    """Start the recorded guests; the record keeps those that do not start.

    Waits for guests that are being saved or shut down, at most SETTLE seconds in total.
    """
    record = stopped_machines.read()
    deadline = time.monotonic() + settle
    found: list[Started] = []
    left: list[Stopped] = []
    with session.screen.waiting() as tell:
        for index, each in enumerate(record, start=1):
            tell(f"{each.name} is being started, once it is off ...")
            found.append(await _start(each, deadline, settle > 0))
            left += [each] if found[-1].how in ("failed", "asked") else []
            stopped_machines.write([*left, *record[index:]])
    return found


async def _start(machine: Stopped, deadline: float, waited: bool) -> Started:
    try:
        domain = await _settled(machine, deadline)
        if domain is None:
            return Started(machine.name, "gone")
        if domain.state == RUNNING:
            return Started(domain.name, "runs" if machine.saved or waited else "asked")
        if domain.state != SHUT_OFF:
            return Started(domain.name, "failed", f"is {domain.state}")
        await _start_once(domain, deadline)
        state, reason = await Domains().reason(domain.uuid)
    except VirshError as error:
        kept = "; its saved state stays" if machine.saved else ""
        return Started(machine.name, "failed", f"did not start: {error.reason}{kept}")
    if state != RUNNING:
        return Started(machine.name, "failed", f"was started, and is {state} ({reason})")
    return Started(machine.name, "restored" if reason == _RESTORED else "booted")


async def _start_once(domain: Domain, deadline: float) -> None:
    """Start it, unless a virsh that outlived its nestctl is just doing so."""
    try:
        await Domains().start(domain.uuid)
    except VirshError:
        now = await _settled(Stopped(domain.uuid, domain.name, saved=True), deadline)
        if now is None or now.state != RUNNING:
            raise


async def _settled(machine: Stopped, deadline: float) -> Domain | None:
    """The domain, once libvirt has finished with it: a save continues without nestctl."""
    while True:
        found = await Domains().these([machine.uuid])
        if not found or found[0].state == SHUT_OFF or time.monotonic() >= deadline:
            return found[0] if found else None
        runs = machine.saved and found[0].state == RUNNING
        if runs and not await Domains().is_busy(machine.uuid):
            return found[0]
        await asyncio.sleep(_PAUSE)

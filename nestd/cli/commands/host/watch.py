# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl watch: shows the state as it changes. A signal triggers a new read; nothing is polled."""

from __future__ import annotations

import asyncio
import contextlib
import time
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from typing import Any

from nestd.cli.commands.host import status
from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen import formatting, state
from nestd.cli.screen.elements import Element, paragraphs
from nestd.cli.screen.output import Screen
from nestd.cli.service.errors import CliError, Exit
from nestd.cli.service.values import Host, Inhibitor, Job, Module
from nestd.dbus.values import Signal

_SETTLE_SECONDS = 0.05  # signals arrive in bursts
_MOST_EVENTS = 200
_COUNTDOWN_SECONDS = 1.0


def add_to(commands: Any) -> None:
    """Add the command."""
    about = "Show the state as it changes, until Ctrl-C"
    add_command(commands, "watch", run, about)


async def run(session: Session, chosen: Namespace) -> Exit:
    """Watch until a signal ends it, which is the normal end."""
    view: _View
    if session.screen.is_json:
        view = _JsonLines(session.screen)
    elif session.screen.is_live:
        view = _LiveView(session.screen)
    else:
        view = _Lines(session.screen)
    try:
        with view:
            await _watch(session, view)
    except asyncio.CancelledError:
        pass
    return Exit.DONE


class _View(contextlib.AbstractContextManager["_View"]):
    """Shows states and the events between them."""

    def update(self, host: Host | None, events: list[str]) -> None:
        """Show a new state; HOST is None while nestd is not running."""
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        pass


class _Lines(_View):
    """One line per event, for pipes and files."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told = False

    def update(self, host: Host | None, events: list[str]) -> None:
        if host is not None and not self._told:
            self._told = True
            self._screen.say(f"{_clock()}  {state.headline(host)}")
            self._screen.say(f"{_clock()}  Virtual machines: {formatting.machines(host)}")
            for each in host.inhibitors:
                self._screen.say(f"{_clock()}  {_inhibits(each)}")
        for event in events:
            self._screen.say(f"{_clock()}  {event}")


class _JsonLines(_View):
    """One line with a JSON document per change."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def update(self, host: Host | None, events: list[str]) -> None:
        document = {"time": time.time(), "events": events, "status": host}
        self._screen.json(document, indent=None)


class _LiveView(_View):
    """The status screen with the latest events below it, replaced in place."""

    def __init__(self, screen: Screen) -> None:
        self._live = screen.live()
        self._events: deque[str] = deque(maxlen=_MOST_EVENTS)
        self._host: Host | None = None

    def __enter__(self) -> _View:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._show("")
        self._live.stop()

    def update(self, host: Host | None, events: list[str]) -> None:
        self._host = host
        self._events += [f"{_clock()}  {event}" for event in events]
        self._show("Ctrl-C ends this.")

    def _show(self, end: str) -> None:
        top: list[Element | str] = ["nestd is not running; waiting for it."]
        if self._host is not None:
            top = list(status.screen(self._host))
        self._live.show(list(paragraphs(top)), self._events, end)


async def _watch(session: Session, view: _View) -> None:
    changed = asyncio.Event()
    ends: deque[str] = deque()

    def heard(signal: Signal) -> None:
        ends.extend(_job_events(signal))
        changed.set()

    await session.client.on_signal(heard)
    await session.client.on_owner(lambda up: changed.set())
    lost = asyncio.ensure_future(session.client.closed())
    before: Host | None = None
    seen = False
    try:
        while not lost.done():
            changed.clear()
            host = await _read(session)
            events = [*_drain(ends), *(_events(before, host) if seen else ())]
            if not seen or events or _counts_down(host) or host != before:
                view.update(host, events)
            before, seen = host, True
            pause = _COUNTDOWN_SECONDS if _counts_down(host) else None
            await _next(changed, lost, pause)
        lost.result()
    finally:
        lost.cancel()


async def _read(session: Session) -> Host | None:
    """The state; None while nestd is not running. Never starts it."""
    if not await session.client.is_running():
        return None
    try:
        return await session.client.host()
    except CliError as error:
        if error.code is Exit.NOT_REACHABLE:
            return None
        raise


async def _next(changed: asyncio.Event, lost: asyncio.Future[None], pause: float | None) -> None:
    waiting = asyncio.ensure_future(changed.wait())
    either: set[asyncio.Future[Any]] = {waiting, lost}
    try:
        await asyncio.wait(either, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if changed.is_set():
        await asyncio.sleep(_SETTLE_SECONDS)


def _counts_down(host: Host | None) -> bool:
    return host is not None and any(each.debug_until for each in host.log_daemons.values())


def _drain(events: deque[str]) -> Iterator[str]:
    while events:
        yield events.popleft()


def _job_events(signal: Signal) -> Iterator[str]:
    """The steps of a job from its signals, since a job may end before it can be read."""
    if signal.member == "PropertiesChanged" and signal.args[0] == "org.nestd1.Job":
        changed: Any = signal.args[1]
        if "State" in changed:
            yield f"Job {signal.path.rsplit('/', 1)[-1]}: {changed['State'].value}"


def _events(before: Host | None, after: Host | None) -> Iterator[str]:
    """The changes between two states as sentences."""
    if after is None:
        if before is not None:
            yield "nestd is gone"
        return
    if before is None:
        yield "nestd is here"
        return
    for name, module in after.modules.items():
        yield from _module_events(before.modules.get(name), module)
    yield from _machine_events(before, after)
    yield from _inhibitor_events(before, after)
    yield from _new_jobs(before.jobs, after.jobs)
    for name, daemon in after.log_daemons.items():
        old = before.log_daemons.get(name)
        if old and bool(old.debug_until) != bool(daemon.debug_until):
            yield f"{name}: debug logs {'on' if daemon.debug_until else 'off again'}"
        if old and old.config_error != daemon.config_error:
            yield f"{name}: {daemon.config_error or 'its file can be read again'}"
        if old and (old.filters, old.outputs) != (daemon.filters, daemon.outputs):
            yield f"{name}: configured filters {daemon.filters or 'none'}"


def _module_events(before: Module | None, after: Module) -> Iterator[str]:
    if before is None:
        yield f"{after.name} is here"
        return
    name = after.name
    if before.loaded != after.loaded:
        yield f"{name}: {'loaded' if after.loaded else 'unloaded'}"
    if after.loaded:
        for key, value in after.parameters.items():
            old = before.parameters.get(key)
            if old is not None and old != value:
                yield f"{name}: {key} runs with {value} now, was {old}"
    for key in sorted({*before.configured, *after.configured}):
        old, new = before.configured.get(key), after.configured.get(key)
        if old != new:
            says = f"sets {key}={new}" if new else f"no longer sets {key}"
            yield f"{name}: {formatting.KVM_CONF} {says}"
    if before.state != after.state:
        yield f"{name}: {after.state}, was {before.state}"
    if before.load_obstacles != after.load_obstacles:
        found = state.obstacles(after)
        nothing = "Nothing keeps it from being loaded."
        reason = state.obstacle(after, found[0]) if found else nothing
        yield f"{name}: {reason}"


def _machine_events(before: Host, after: Host) -> Iterator[str]:
    old = {(each.pid, each.name) for each in before.machines}
    new = {(each.pid, each.name) for each in after.machines}
    for pid, name in sorted(new - old):
        yield f"Virtual machine {name} (pid {pid}) runs"
    for pid, name in sorted(old - new):
        yield f"Virtual machine {name} (pid {pid}) has ended"


def _inhibits(one: Inhibitor) -> str:
    return f"{formatting.inhibitor(one)} allows no reloads (pid {one.pid})"


def _inhibitor_events(before: Host, after: Host) -> Iterator[str]:
    for each in after.inhibitors:
        if each not in before.inhibitors:
            yield _inhibits(each)
    for each in before.inhibitors:
        if each not in after.inhibitors:
            yield f"{formatting.inhibitor(each)} allows reloads again"


def _new_jobs(before: tuple[Job, ...], after: tuple[Job, ...]) -> Iterator[str]:
    known = {each.id for each in before}
    for job in after:
        if job.id not in known:
            yield formatting.job(job)


def _clock() -> str:
    return time.strftime("%H:%M:%S")

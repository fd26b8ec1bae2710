# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl nested, set, reload and plan: what changes the host, or shows what would."""

from __future__ import annotations

import asyncio
import contextlib
from argparse import Namespace
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from nestd.cli.commands.changes import jobs, outcome
from nestd.cli.invocation.parser import Parser, add_command, add_wait, add_when, assignment
from nestd.cli.invocation.session import Session
from nestd.cli.screen import words
from nestd.cli.service.client import Blocked
from nestd.cli.service.errors import Exit
from nestd.cli.service.values import Module
from nestd.dbus.connection.wire import Variant

_AT_ONCE_SECONDS = 5.0


@dataclass(frozen=True)
class Request:
    """A change that is asked for."""

    module: Module  # as it is before
    parameters: Mapping[str, str]
    apply: Callable[[], Awaitable[int]]  # gives the number of the job
    again: str  # the command without the options for the moment


def add_to(commands: Any) -> None:
    """Add the commands."""
    about = "Switch nested virtualization on or off"
    parser = add_command(commands, "nested", nested, about, changes=True, json=True)
    parser.add_argument("value", choices=["on", "off"], help="for good, after every reboot too")
    _add_change(parser)

    about = "Set parameters of a KVM module"
    parser = add_command(commands, "set", set_parameters, about, changes=True, json=True)
    _add_assignments(parser)
    _add_change(parser)

    about = "Reload a KVM module as it is configured"
    parser = add_command(commands, "reload", reload, about, changes=True, json=True)
    help_ = "default: the one that has the nested parameter"
    parser.add_argument("module", nargs="?", metavar="MODULE", help=help_)
    add_when(parser, boot=False)
    add_wait(parser)

    about = "Show what setting parameters would do"
    parser = add_command(commands, "plan", plan, about, json=True)
    _add_assignments(parser)
    add_when(parser)


def _add_change(parser: Parser) -> None:
    add_when(parser)
    add_wait(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the plan, do nothing")
    help_ = "from nestctl plan --json: refuse if anything has changed since"
    parser.add_argument("--token", help=help_)


def _add_assignments(parser: Parser) -> None:
    parser.add_argument("module", metavar="MODULE", help="for example kvm_intel")
    parser.add_argument(
        "parameters",
        nargs="+",
        type=assignment,
        metavar="PARAM=VALUE",
        help='for example nested=1; "nested=" removes the assignment',
    )


async def nested(session: Session, chosen: Namespace) -> Exit:
    """Switch nested virtualization."""
    module = session.main_module(await session.client.host())
    enabled = chosen.value == "on"
    request = Request(
        module=module,
        parameters={words.NESTED: str(int(enabled))},
        apply=lambda: session.client.set_nested(
            module.name, enabled, chosen.when, _options(chosen)
        ),
        again=f"{session.program} nested {chosen.value}",
    )
    return await _plan_or_change(session, request, chosen)


async def set_parameters(session: Session, chosen: Namespace) -> Exit:
    """Set any parameters."""
    module = await session.client.module(chosen.module)
    parameters = dict(chosen.parameters)
    assigned = " ".join(f"{name}={value}" for name, value in parameters.items())
    request = Request(
        module=module,
        parameters=parameters,
        apply=lambda: session.client.set_parameters(
            module.name, parameters, chosen.when, _options(chosen)
        ),
        again=f"{session.program} set {module.name} {assigned}",
    )
    return await _plan_or_change(session, request, chosen)


async def reload(session: Session, chosen: Namespace) -> Exit:
    """Reload a module."""
    if chosen.module is None:
        module = session.main_module(await session.client.host())
    else:
        module = await session.client.module(chosen.module)
    request = Request(
        module=module,
        parameters={},
        apply=lambda: session.client.reload(module.name, chosen.when),
        again=f"{session.program} reload" + (f" {module.name}" if chosen.module else ""),
    )
    return await _change(session, request, chosen)


async def plan(session: Session, chosen: Namespace) -> Exit:
    """Show what "set" would do."""
    module = await session.client.module(chosen.module)
    return await _show_plan(session, module.name, dict(chosen.parameters), chosen)


async def _plan_or_change(session: Session, request: Request, chosen: Namespace) -> Exit:
    name, parameters = request.module.name, request.parameters
    if chosen.dry_run:
        return await _show_plan(session, name, parameters, chosen)
    warnings = (await session.client.plan(name, parameters, chosen.when)).warnings
    status = await _change(session, request, chosen)
    for warning in warnings if status is Exit.DONE else ():
        session.screen.warn(warning)
    return status


async def _show_plan(
    session: Session, module: str, parameters: Mapping[str, str], chosen: Namespace
) -> Exit:
    found = await session.client.plan(module, parameters, chosen.when)
    if chosen.json:
        session.screen.json(found)
    else:
        outcome.show_plan(session, found, chosen.when)
    return Exit.DONE


async def _change(session: Session, request: Request, chosen: Namespace) -> Exit:
    client, name = session.client, request.module.name
    try:
        number = await request.apply()
    except Blocked as refused:
        found = await client.blockers(name)
        outcome.explain_blocked(session, refused, name, found)
        outcome.offer(session, request.again, boot=bool(request.parameters))
        return refused.code
    waits = bool(number) and chosen.when == "idle"
    if waits:
        waits = not await _waited(session, name, number, stay=chosen.wait or bool(session.private))
    host = await client.host()
    if chosen.json:
        changed = outcome.changed(request.module, host.modules[name]) or bool(number)
        result = {"changed": changed, "job": number, "module": host.modules[name]}
        session.screen.json(result)
    elif waits:
        job = next((each for each in host.jobs if each.id == number), None)
        outcome.show_job(
            session, job, await client.blockers(name), written=bool(request.parameters)
        )
    else:
        done = outcome.what_happened(request.module, host.modules[name], chosen.when, bool(number))
        outcome.show(session, host, name, request.parameters, done)
    return Exit.DONE


async def _waited(session: Session, module: str, number: int, *, stay: bool) -> bool:
    """Whether a waiting job has come to its good end: at once, or because we stayed for it."""
    if stay:
        outcome.tell_waiting(session, number)
        await jobs.follow(session, number)
        return True
    if await session.client.blockers(module):
        return False
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(jobs.follow(session, number), _AT_ONCE_SECONDS)
        return True
    return False


def _options(chosen: Namespace) -> dict[str, Variant]:
    return {} if chosen.token is None else {"token": Variant("s", chosen.token)}

# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl nested on|off --stop-machines: stops guests for the reload and starts them again.

Everything that can be checked is checked before the first guest is touched.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Sequence

from nestd.cli.commands.changes import outcome
from nestd.cli.commands.changes.apply import Request
from nestd.cli.commands.machines import inventory
from nestd.cli.commands.machines.definitions import check_is_this_machine
from nestd.cli.commands.machines.inventory import SAVE, SHUTDOWN, Machine, Stop
from nestd.cli.commands.machines.resume import report_started, result
from nestd.cli.commands.machines.stopping import Started, start_all, stop_all
from nestd.cli.invocation.argument_types import duration
from nestd.cli.invocation.parser import Parser
from nestd.cli.invocation.question import is_confirmed
from nestd.cli.invocation.session import Session
from nestd.cli.local import stopped_machines
from nestd.cli.screen import formatting
from nestd.cli.screen.elements import STRONG, columns
from nestd.cli.service.errors import BUSY, CliError, Exit
from nestd.cli.service.values import Blocker, Plan

_LIMIT_SECONDS = 300
_SETTLE_SECONDS = 120.0


def add_options(parser: Parser) -> None:
    """Add the options to nestctl nested."""
    help_ = "stop libvirt's guests for the reload, and start them again"
    parser.add_argument("--stop-machines", choices=[SAVE, SHUTDOWN], help=help_)
    help_ = "with it: how long a save, or the shutdown of all, may take (default: 5m)"
    parser.add_argument("--time-limit", type=duration, metavar="TIME", help=help_)
    parser.add_argument("--yes", action="store_true", help="with it: do not ask")


def check_options(chosen: Namespace) -> None:
    """Raises CliError for conflicting options."""
    if not chosen.stop_machines and (chosen.yes or chosen.time_limit):
        raise CliError("--yes and --time-limit need --stop-machines.", code=Exit.USAGE)
    if chosen.stop_machines and chosen.when != "now":
        text = "--stop-machines reloads now: --when-idle and --at-boot stop no machine."
        raise CliError(text, code=Exit.USAGE)


def is_needed(plan: Plan) -> bool:
    """Whether guests alone block the change."""
    refused_for_another_reason = plan.refusal is not None and plan.refusal.name != BUSY
    return not refused_for_another_reason and any(e.kind == "machine" for e in plan.blockers)


async def change(session: Session, request: Request, chosen: Namespace) -> Exit:
    """Stop the guests, change, start them again; names any other blocker before it stops one."""
    check_is_this_machine(session)
    stop = _stop(chosen)
    with stopped_machines.only_one():
        machines, others = await inventory.look(session, request.module.name)
        _refuse(machines, others, stop)
        needing = await _show_machines(session, request, machines, chosen)
        if chosen.dry_run:
            return Exit.DONE
        if not chosen.yes and not await is_confirmed(session, "Go on?"):
            raise CliError("Nothing was done.")
        return await _change(session, request, machines, stop, chosen, needing)


def _stop(chosen: Namespace) -> Stop:
    return Stop(chosen.stop_machines, chosen.value == "off")


def _refuse(machines: Sequence[Machine], others: Sequence[Blocker], stop: Stop) -> None:
    found = [each for one in machines if (each := inventory.obstacle(one, stop))]
    found += others
    if found:
        lines = "\n".join(f"  {formatting.blocker(each)}: {each.detail}" for each in found)
        text = "Not everything in the way can be stopped. Nothing was done."
        raise CliError(text, lines, Exit.BLOCKED, BUSY, tuple(found))


async def _show_machines(
    session: Session, request: Request, machines: Sequence[Machine], chosen: Namespace
) -> list[str]:
    """Print what will happen to each; returns the names that libvirt will not start again."""
    host = await session.client.host()
    stop = _stop(chosen)
    found = [await inventory.prospect(host, one, stop) for one in machines]
    left = [each.name for each in stopped_machines.read()]
    if session.screen.is_json:
        if chosen.dry_run:
            session.screen.json({"changed": False, "machines": found, "also_started": left})
    else:
        what = (
            "is saved to disk, and goes on" if stop.how == SAVE else "is shut down, and boots again"
        )
        name = request.module.name
        session.screen.say((f"For the reload of {name} these machines are stopped:", STRONG))
        rows = [(each.name, str(each.pid), what) for each in found]
        session.screen.show(columns(["NAME", "PID", "WHAT HAPPENS"], rows))
    for each in found:
        if each.warning:
            session.screen.warn(each.warning)
    if left and not session.screen.is_json:
        session.screen.note(
            f"Also started then, because an earlier run stopped them: {', '.join(left)}."
        )
    return [each.name for each in found if each.waits]


async def _change(
    session: Session,
    request: Request,
    machines: Sequence[Machine],
    stop: Stop,
    chosen: Namespace,
    needing: Sequence[str],
) -> Exit:
    try:
        try:
            await stop_all(session, machines, stop, chosen.time_limit or _LIMIT_SECONDS)
            number = await request.run()
        except CliError as error:
            back = await start_all(session, 0 if stop.how == SHUTDOWN else _SETTLE_SECONDS)
            raise _undone(session, error, back) from error
        back = await start_all(session, _SETTLE_SECONDS)
    except asyncio.CancelledError:
        session.screen.note("Interrupted. To start the guests that are stopped:")
        session.screen.choices([("nestctl machines resume", "")])
        raise
    host = await session.client.host()
    after = host.modules[request.module.name]
    if session.screen.is_json:
        document = {"changed": True, "job": number, "module": after, "machines": back}
        session.screen.json(document)
    else:
        done = outcome.what_happened(request.module, after, "now", bool(number))
        outcome.show(session, host, after.name, request.parameters, done)
        report_started(session, back)
    return result(back) if set(_failed(back)) - set(needing) else _done(session, back)


def _failed(back: Sequence[Started]) -> list[str]:
    return [each.name for each in back if each.how in ("failed", "asked")]


def _done(session: Session, back: Sequence[Started]) -> Exit:
    """Exit.DONE; prints how to start the guests that need nesting, as announced before."""
    waiting = _failed(back)
    if waiting and not session.screen.is_json:
        session.screen.note(f"To start {', '.join(waiting)}, when nesting is on again:")
        session.screen.choices([("nestctl machines resume", "")])
    return Exit.DONE


def _undone(session: Session, error: CliError, back: Sequence[Started]) -> CliError:
    """The error, with its effect on each guest."""
    rebooted = [each.name for each in back if each.how == "booted"]
    if not session.screen.is_json:
        report_started(session, back)
    text = f"{error.text} No setting was changed."
    if rebooted:
        text += f" Shut down already, and booted again: {', '.join(rebooted)}."
    missing = _failed(back)
    if missing:
        text += f" Not back: {', '.join(missing)}."
    hint = "Start them again:\n  nestctl machines resume" if missing else error.hint
    return CliError(text, hint, error.code, error.name, error.blockers)

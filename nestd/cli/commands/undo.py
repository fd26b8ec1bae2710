# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl undo: restores what the latest change replaced, in the same way as any change."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from nestd.cli.commands.changes import outcome
from nestd.cli.commands.changes.apply import Request, apply
from nestd.cli.commands.logs import show
from nestd.cli.invocation.parser import add_command, add_wait, add_when
from nestd.cli.invocation.session import Session
from nestd.cli.screen.formatting import KVM_CONF
from nestd.cli.service.errors import CliError, Exit
from nestd.cli.service.values import Entry, Plan
from nestd.dbus.values import Variant

_LOGS = "logs"
_FILTERS, _OUTPUTS = "filters", "outputs"
_SEE = "See what was done:\n  nestctl history"


def add_to(commands: Any) -> None:
    """Add the command."""
    about = "Restore what the latest change replaced"
    parser = add_command(commands, "undo", run, about, changes=True)
    add_when(parser)
    add_wait(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the plan, do nothing")


async def run(session: Session, chosen: Namespace) -> Exit:
    """Undo the latest change."""
    client = session.client
    entry = _latest(await client.history())
    if entry.kind == _LOGS:
        return await _undo_logs(session, entry, chosen)
    before = _before(entry)
    module = await client.module(entry.subject)
    plan = await client.plan(module.name, before, chosen.when)
    # Checked after planning: a later edit makes the plan's token stale.
    _check_unchanged(_latest(await client.history()), entry, KVM_CONF)
    if chosen.dry_run:
        return _show_plan(session, entry, plan, chosen.when)
    options = {"token": Variant("s", plan.token)} if plan.token else {}
    request = Request(
        module=module,
        parameters=before,
        run=lambda: client.set_parameters(module.name, before, chosen.when, options),
        again="nestctl undo",
    )
    _name_change(session, entry)
    status = await apply(session, request, chosen.when, stay=chosen.wait)
    for warning in plan.warnings if status is Exit.DONE else ():
        session.screen.warn(warning)
    return status


async def _undo_logs(session: Session, entry: Entry, chosen: Namespace) -> Exit:
    if chosen.when == "idle":
        text = "Log settings never wait: --when-idle is for changes of modules."
        raise CliError(text, code=Exit.USAGE)
    client, before = session.client, _before(entry)
    when = {"boot": "start"}.get(chosen.when, chosen.when)
    daemon, filters = await client.log_daemon(entry.subject), before.get(_FILTERS, "")
    _check_unchanged(entry, entry, daemon.config_file)
    options = {_OUTPUTS: Variant("s", before[_OUTPUTS])} if _OUTPUTS in before else {}
    if chosen.dry_run:
        plan = await client.plan_filters(daemon.name, filters, options)
        return _show_plan(session, entry, plan, when)
    _name_change(session, entry)
    await client.set_filters(daemon.name, filters, when, options)
    await show.report_set(session, daemon.name, when)
    return Exit.DONE


def _latest(entries: Iterable[Entry]) -> Entry:
    """The latest change of module parameters or log settings. Raises CliError if there is none."""
    found = next((each for each in entries if each.is_change), None)
    if found is None:
        raise CliError("There is no change to undo.", _SEE)
    return found


def _before(entry: Entry) -> Mapping[str, str]:
    """What the change replaced. Raises CliError if the entry does not say."""
    if entry.before is not None:
        return entry.before
    if not entry.asked:
        text = "Only the user who made the latest change, or an administrator, can undo it."
        raise CliError(text, code=Exit.NOT_AUTHORIZED)
    text = f"The latest change, {_named(entry)}, wrote no file: there is nothing to restore."
    raise CliError(text, _SEE)


def _check_unchanged(now: Entry, entry: Entry, file: str) -> None:
    """Raises CliError if FILE has changed since."""
    if now.time != entry.time or not now.undoable:
        text = f"{file} has changed since {_named(entry)}. Nothing was restored."
        raise CliError(text, _SEE)


def _show_plan(session: Session, entry: Entry, plan: Plan, when: str) -> Exit:
    if session.screen.is_json:
        session.screen.json(plan)
        return Exit.DONE
    _name_change(session, entry)
    outcome.show_plan(session, plan, when)
    return Exit.DONE


def _name_change(session: Session, entry: Entry) -> None:
    if not session.screen.is_json:
        session.screen.say(f"To undo: {_named(entry)}.")


def _named(entry: Entry) -> str:
    return f"{entry.asked} of {entry.subject}"

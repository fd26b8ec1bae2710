# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl nested, set, reload, load, unload and plan: changes of KVM's modules."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from nestd.cli.commands.changes import guests_affected, outcome, stop_machines
from nestd.cli.commands.changes.apply import Request, apply
from nestd.cli.commands.host.status import default_verdict
from nestd.cli.invocation.argument_types import assignment
from nestd.cli.invocation.parser import Parser, add_command, add_wait, add_when
from nestd.cli.invocation.session import Session
from nestd.cli.screen import formatting, state
from nestd.cli.screen.elements import GOOD, STRONG, fields
from nestd.cli.service.client import Options
from nestd.cli.service.errors import CliError, Exit
from nestd.cli.service.values import Host, Module
from nestd.dbus.values import Variant


def add_to(commands: Any) -> None:
    """Add the commands."""
    about = "Switch nested virtualization on or off, or show it"
    parser = add_command(commands, "nested", nested, about, changes=True)
    help_ = "permanently, also after every reboot; without: show the state"
    parser.add_argument("value", nargs="?", choices=["on", "off"], help=help_)
    _add_change(parser)
    stop_machines.add_options(parser)

    about = "Set parameters of a KVM module"
    parser = add_command(commands, "set", set_parameters, about, changes=True)
    _add_assignments(parser)
    _add_change(parser)

    about = "Reload a KVM module as it is configured"
    parser = add_command(commands, "reload", reload, about, changes=True)
    _add_module(parser)
    add_when(parser, boot=False)
    add_wait(parser)

    about = "Load a KVM module that was unloaded"
    _add_module(add_command(commands, "load", load, about, changes=True))
    about = "Unload a KVM module until it is loaded again"
    parser = add_command(commands, "unload", unload, about, changes=True)
    _add_module(parser)
    add_when(parser, boot=False)
    add_wait(parser)

    about = "Show what setting parameters would do"
    parser = add_command(commands, "plan", plan, about)
    _add_assignments(parser)
    add_when(parser)


def _add_module(parser: Parser) -> None:
    help_ = "default: the one that has the nested parameter"
    parser.add_argument("module", nargs="?", metavar="MODULE", help=help_)


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
    """Switch nested virtualization on or off, or show its state."""
    host = await session.client.host()
    if chosen.value is None:
        if chosen.dry_run or chosen.wait or chosen.token or chosen.when != "now":
            text = "Which: on or off? Without one of them, nested shows the state."
            raise CliError(text, "For example:\n  nestctl nested on --dry-run", Exit.USAGE)
        return await _show_nested(session, host)
    stop_machines.check_options(chosen)
    module = session.main_module(host)
    enabled = chosen.value == "on"
    request = Request(
        module=module,
        parameters={formatting.NESTED: str(int(enabled))},
        run=lambda: session.client.set_nested(module.name, enabled, chosen.when, _options(chosen)),
        again=f"nestctl nested {chosen.value}",
    )
    if not enabled:
        await guests_affected.tell(session)
    if chosen.stop_machines:
        found = await session.client.plan(module.name, request.parameters, "now")
        if stop_machines.is_needed(found):
            return await stop_machines.change(session, request, chosen)
    return await _plan_or_change(session, request, chosen)


async def _show_nested(session: Session, host: Host) -> Exit:
    module = host.main
    if session.screen.is_json:
        session.screen.json({"nested": host.nested, "module": module})
        return Exit.DONE
    default = await default_verdict(session, host)
    session.screen.say((state.headline(host, default), STRONG))
    rows = list(state.without_module(host))
    if module is not None:
        rows = [
            ("Running", state.running(module)),
            ("Configured", state.configured(module)),
            ("Next load", state.next_load(host, module, default)),
        ]
    if rows:
        session.screen.show(fields(rows))
    return Exit.DONE


async def set_parameters(session: Session, chosen: Namespace) -> Exit:
    """Set parameters of a module."""
    module = await session.client.module(chosen.module)
    parameters = dict(chosen.parameters)
    assigned = [f"{name}={value}" for name, value in parameters.items()]
    request = Request(
        module=module,
        parameters=parameters,
        run=lambda: session.client.set_parameters(
            module.name, parameters, chosen.when, _options(chosen)
        ),
        again=f"nestctl set {module.name} {shlex.join(assigned)}",
    )
    return await _plan_or_change(session, request, chosen)


async def reload(session: Session, chosen: Namespace) -> Exit:
    """Reload a module."""
    module = await _module(session, chosen)
    request = Request(
        module=module,
        parameters={},
        run=lambda: session.client.reload(module.name, chosen.when),
        again="nestctl reload" + (f" {module.name}" if chosen.module else ""),
    )
    return await apply(session, request, chosen.when, stay=chosen.wait)


async def unload(session: Session, chosen: Namespace) -> Exit:
    """Unload a module."""
    module = await _module(session, chosen)
    if not module.loaded:
        return _nothing_to_do(session, module)
    request = Request(
        module=module,
        parameters={},
        run=lambda: session.client.unload(module.name, chosen.when),
        again=f"nestctl unload {module.name}",
    )
    return await apply(session, request, chosen.when, stay=chosen.wait)


async def load(session: Session, chosen: Namespace) -> Exit:
    """Load a module."""
    before = await _module(session, chosen)
    await session.client.load(before.name)
    host = await session.client.host()
    after = host.modules[before.name]
    if session.screen.is_json:
        changed = outcome.changed(before, after)
        session.screen.json({"changed": changed, "job": 0, "module": after})
        return Exit.DONE
    done = f"{after.name} was loaded already." if before.loaded else f"{after.name} is loaded."
    outcome.show(session, host, after.name, (), done)
    return Exit.DONE


async def _module(session: Session, chosen: Namespace) -> Module:
    if chosen.module is None:
        return session.main_module(await session.client.host())
    return await session.client.module(chosen.module)


def _nothing_to_do(session: Session, module: Module) -> Exit:
    if session.screen.is_json:
        session.screen.json({"changed": False, "job": 0, "module": module})
    else:
        session.screen.say((f"{module.name} is not loaded: nothing to do.", GOOD))
    return Exit.DONE


async def plan(session: Session, chosen: Namespace) -> Exit:
    """Show what "nestctl set" would do."""
    module = await session.client.module(chosen.module)
    return await _show_plan(session, module.name, dict(chosen.parameters), chosen)


async def _plan_or_change(session: Session, request: Request, chosen: Namespace) -> Exit:
    name, parameters = request.module.name, request.parameters
    if chosen.dry_run:
        return await _show_plan(session, name, parameters, chosen)
    warnings = (await session.client.plan(name, parameters, chosen.when)).warnings
    status = await apply(session, request, chosen.when, stay=chosen.wait)
    for warning in warnings if status is Exit.DONE else ():
        session.screen.warn(warning)
    return status


async def _show_plan(
    session: Session, module: str, parameters: Mapping[str, str], chosen: Namespace
) -> Exit:
    found = await session.client.plan(module, parameters, chosen.when)
    if session.screen.is_json:
        session.screen.json(found)
    else:
        outcome.show_plan(session, found, chosen.when)
    return Exit.DONE


def _options(chosen: Namespace) -> Options:
    return {} if chosen.token is None else {"token": Variant("s", chosen.token)}

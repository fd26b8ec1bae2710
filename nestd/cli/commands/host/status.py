# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl status: one screen that shows whether nested virtualization is on and stays on."""

from __future__ import annotations

import contextlib
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen import formatting, state
from nestd.cli.screen.elements import (
    BAD,
    DIM,
    GOOD,
    STRONG,
    WARN,
    Cell,
    Element,
    Text,
    fields,
    indented,
    styled,
)
from nestd.cli.service.errors import CliError, Exit
from nestd.cli.service.values import Blocker, Host, LogDaemon, Module


def add_to(commands: Any) -> None:
    """Add the command."""
    add_command(commands, "status", run, "Show the state of this host (default)")


async def run(session: Session, chosen: Namespace) -> Exit:
    """Show the state."""
    host = await session.client.host()
    if session.screen.is_json:
        session.screen.json(host)
        return Exit.DONE
    blockers = await _blockers(session, host)
    default = await default_verdict(session, host)
    session.screen.show(*screen(host, blockers, default))
    return Exit.DONE


async def default_verdict(session: Session, host: Host) -> str:
    """The verdict on the kernel's default; "" if the service reports the next boot."""
    module = host.main
    if host.nested.at_boot or module is None:
        return ""
    if module.nested_next != "default" or module.nested == "unknown":
        return ""
    with contextlib.suppress(CliError):
        for each in await session.client.validate():
            if each.id == "next-load":
                return each.verdict
    return ""


async def _blockers(session: Session, host: Host) -> tuple[Blocker, ...]:
    if host.main is None or host.main.state != "reload-pending":
        return ()
    return await session.client.blockers(host.main.name)


def screen(
    host: Host, blockers: tuple[Blocker, ...] = (), default: str = ""
) -> Iterator[Element | str]:
    """The state as elements to show.

    BLOCKERS are the blockers of a pending reload; DEFAULT as for state.headline().
    """
    yield from _answer(host, default)
    yield from _next_step(host, blockers)
    yield ""
    yield fields(_rows(host, default))


def _answer(host: Host, default: str) -> Iterator[Text]:
    """The first lines: the answer, and any drift."""
    style = STRONG
    if host.nested.running in ("yes", "no"):
        style = f"{STRONG} {GOOD if host.nested.running == 'yes' else WARN}"
    yield styled((state.headline(host, default), style))
    sentences = (each for module in host.modules.values() for each in state.drift(host, module))
    for sentence in dict.fromkeys(sentences):  # a problem that all modules share is shown once
        yield styled((sentence, WARN))


def _next_step(host: Host, blockers: tuple[Blocker, ...]) -> Iterator[Element | str]:
    module = host.main
    if module is None and host.nested.running == "yes":
        return
    if module is None or state.at_boot(host, module) or state.is_withheld(host, module):
        yield "To see why:"
        yield indented("nestctl validate")
    elif any(each.module == module.name for each in host.jobs):
        yield "It is reloaded automatically when nothing uses it; nothing is stopped for it."
    elif module.state == "reload-pending":
        names = formatting.listed([formatting.blocker(each) for each in blockers])
        if host.vendor == "power" and module.nested != module.nested_next:
            yield "To apply it now, without a reload:"
            yield indented(f"nestctl nested {formatting.on_off(module.nested_next)}")
        elif names:
            yield f"In the way of a reload: {names}. To have it reloaded automatically later:"
            yield indented("nestctl reload --when-idle")
        else:
            yield "Nothing is in the way of a reload now:"
            yield indented("nestctl reload")
    elif module.state == "in-sync" and module.nested_next == "default":
        yield "To set it yourself, now and for every boot to come:"
        yield indented("nestctl nested on", "nestctl nested off")


def _rows(host: Host, default: str) -> Iterator[tuple[str, Cell]]:
    yield "Host", formatting.kind_of_host(host)
    module = host.main
    if module is not None:
        yield "Module", f"{module.name}, {_loaded(module)}"
        yield "Running", styled((state.running(module), _style(module.nested)))
        yield "Configured", state.configured(module)
        text = state.next_load(host, module, default)
        yield "Next load", styled((text, _style(module.nested_next)))
        if state.at_boot(host, module):
            yield "At boot", styled((state.at_boot(host, module), BAD))
    else:
        yield from state.without_module(host)
    yield "VMs", formatting.machines(host)
    yield "Jobs", _jobs(host)
    if host.inhibitors:
        yield (
            "Inhibitors",
            formatting.listed([formatting.inhibitor(each) for each in host.inhibitors]),
        )
    yield "Debug logs", _debug_logs(host)


def _loaded(module: Module) -> str:
    if module.availability != "loadable":
        return {"builtin": "built into the kernel"}.get(module.availability, module.availability)
    return "loaded" if module.loaded else "not loaded"


def _style(answer: str) -> str:
    return {"yes": GOOD, "no": WARN, "invalid": BAD}.get(answer, "")


def _jobs(host: Host) -> Cell:
    running = [formatting.job(each) for each in host.jobs]
    return styled(("; ".join(running), WARN)) if running else "none waiting"


def _debug_logs(host: Host) -> Cell:
    """ "off" only if every daemon logs by libvirt's defaults and has no problem."""
    if not host.log_daemons:
        return styled(("no libvirt daemon is installed", DIM))
    found = [each for daemon in host.log_daemons.values() for each in _logs_of(daemon)]
    return styled(("; ".join(found), WARN)) if found else "off"


def _logs_of(daemon: LogDaemon) -> Iterator[str]:
    if daemon.debug_until:
        yield debug_session(daemon)
    if daemon.config_error:
        yield f"{daemon.name} cannot start with {daemon.config_error}"
    elif not formatting.is_default(daemon) and not daemon.debug_until:
        yield f"{daemon.name} is set to log {formatting.filters(daemon.filters, daemon.level)}"
    if daemon.overridden_by:
        yield f"{daemon.overridden_by} overrides {daemon.config_file}"
    yield from daemon.other_warnings


def debug_session(daemon: LogDaemon) -> str:
    """A running debug session in words."""
    left = formatting.duration(daemon.debug_until / 1e6 - time.time())
    until = time.strftime("%H:%M:%S", time.localtime(daemon.debug_until / 1e6))
    written = f", {formatting.size(daemon.debug_bytes)} so far" if daemon.debug_bytes else ""
    return f"{daemon.name} for {left} more, until {until}{written}"

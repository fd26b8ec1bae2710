# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl status: one screen that answers whether nested virtualization is on, and stays on."""

from __future__ import annotations

import contextlib
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen import words
from nestd.cli.screen.output import BAD, DIM, GOOD, STRONG, WARN, Cell, fields, indented, styled
from nestd.cli.service.errors import CliError, Exit
from nestd.cli.service.values import Blocker, Host, LogDaemon, Module


def add_to(commands: Any) -> None:
    """Add the command."""
    add_command(commands, "status", run, "Show the state of this host (default)", json=True)


async def run(session: Session, chosen: Namespace) -> Exit:
    """Show the state."""
    host = await session.client.host()
    if chosen.json:
        session.screen.json(document(host))
        return Exit.DONE
    blockers = await _blockers(session, host)
    default = await _default(session, host)
    session.screen.show(screen(host, session.program, blockers, default))
    return Exit.DONE


async def _default(session: Session, host: Host) -> str:
    """The verdict on the kernel's default, where that decides: nestd knows it for most kernels."""
    module = host.main
    if module is None or module.nested_next != "default" or module.nested == "unknown":
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


def document(host: Host) -> dict[str, object]:
    """The state for scripts. Its keys are stable."""
    module = host.main
    decides = module.decides(words.NESTED) if module else None
    nested = {
        "running": module.nested if module else "unknown",
        "configured": module.nested_configured if module else "unset",
        "next": module.nested_next if module else "default",
        "state": module.state if module else "missing",
        "decided_by": decides.place if decides else None,
    }
    return {"nested": nested, **asdict(host)}


def screen(
    host: Host, program: str, blockers: tuple[Blocker, ...] = (), default: str = ""
) -> Group:
    """The state for people.

    BLOCKERS are those of a reload that is due, DEFAULT is the verdict on the kernel's default.
    """
    return Group(
        *_answer(host, default),
        *_next_step(host, program, blockers),
        "",
        fields(_rows(host, default)),
    )


def _answer(host: Host, default: str) -> Iterator[Text]:
    """The first lines: the answer, and what is odd."""
    module = host.main
    style = STRONG
    if module is not None and module.nested != "unknown":
        style = f"{STRONG} {GOOD if module.nested == 'yes' else WARN}"
    yield styled((words.headline(host, default), style))
    sentences = (each for module in host.modules.values() for each in words.drift(host, module))
    for sentence in dict.fromkeys(sentences):  # what is odd about all of them is told once
        yield styled((sentence, WARN))


def _next_step(host: Host, program: str, blockers: tuple[Blocker, ...]) -> Iterator[RenderableType]:
    module = host.main
    if module is None:
        yield styled("To see why:")
        yield indented(f"{program} validate")
    elif any(each.module == module.name for each in host.jobs):
        yield styled("It is reloaded by itself when nothing uses it; nothing is stopped for it.")
    elif module.state == "reload-pending":
        names = words.listed([words.blocker(each) for each in blockers])
        if host.vendor == "power" and module.nested != module.nested_next:
            yield styled("To have it now, for which no reload is needed:")
            yield indented(f"{program} nested {words.on_off(module.nested_next)}")
        elif names:
            yield styled(f"In the way of a reload: {names}. To have it done by itself later:")
            yield indented(f"{program} reload --when-idle")
        else:
            yield styled("Nothing is in the way of a reload now:")
            yield indented(f"{program} reload")
    elif module.state == "in-sync" and module.nested_next == "default":
        yield styled("To set it yourself, now and for every boot to come:")
        yield indented(f"{program} nested on", f"{program} nested off")


def _rows(host: Host, default: str) -> Iterator[tuple[str, Cell]]:
    yield "Host", words.kind_of_host(host)
    module = host.main
    if module is not None:
        yield "Module", f"{module.name}, {_loaded(module)}"
        yield "Running", styled((words.running(module), _style(module.nested)))
        yield "Configured", words.configured(module)
        yield "Next load", styled((words.next_load(module, default), _style(module.nested_next)))
    yield "VMs", words.machines(host.machines, host.machine_count)
    yield "Jobs", _jobs(host)
    if host.inhibitors:
        yield "Inhibitors", words.listed([f"{each.who} ({each.why})" for each in host.inhibitors])
    yield "Debug logs", _debug_logs(host)


def _loaded(module: Module) -> str:
    if module.availability != "loadable":
        return {"builtin": "built into the kernel"}.get(module.availability, module.availability)
    return "loaded" if module.loaded else "not loaded"


def _style(answer: str) -> str:
    return {"yes": GOOD, "no": WARN, "invalid": BAD}.get(answer, "")


def _jobs(host: Host) -> Cell:
    running = [words.job(each) for each in host.jobs]
    return styled(("; ".join(running), WARN)) if running else "none waiting"


def _debug_logs(host: Host) -> Cell:
    if not host.log_daemons:
        return styled(("no libvirt daemon is installed", DIM))
    sessions = [debug_session(each) for each in host.log_daemons.values() if each.debug_until]
    return styled(("; ".join(sessions), WARN)) if sessions else "off"


def debug_session(daemon: LogDaemon) -> str:
    """A debug session that runs, in words."""
    left = words.duration(daemon.debug_until / 1e6 - time.time())
    until = time.strftime("%H:%M:%S", time.localtime(daemon.debug_until / 1e6))
    return f"{daemon.name} for {left} more, until {until}"

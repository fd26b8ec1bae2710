# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl --simulate KIND shell: one private service for several commands."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from argparse import REMAINDER, Namespace
from pathlib import Path
from typing import Any

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.local.private_service import PrivateService
from nestd.cli.screen import elements
from nestd.cli.screen.formatting import VENDORS
from nestd.cli.screen.output import Screen
from nestd.cli.service.errors import CliError

MACHINES = "simulated/machines"


def add_to(commands: Any) -> None:
    """Add the command."""
    about = "Keep one --simulate or --standalone for a whole shell"
    parser = add_command(commands, "shell", run, about)
    parser.add_argument("argument", nargs=REMAINDER, help="a program to run instead of a shell")


async def run(session: Session, chosen: Namespace) -> int:
    """Run a shell or another program with the private bus as system bus; returns its status."""
    private = session.private
    assert private is not None  # the parser refuses the command without one
    command = chosen.argument[chosen.argument[:1] == ["--"] :]
    if not command:
        command = [os.environ.get("SHELL") or "/bin/sh"]
        _introduce(private)
    # Ctrl-C is for the programs in the shell.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    try:
        process = await asyncio.create_subprocess_exec(*command, env=_environment(private))
    except OSError as error:
        raise CliError(f"{command[0]} cannot be started: {error.strerror}.") from error
    status = await process.wait()
    return status if status >= 0 else 128 - status


def _environment(private: PrivateService) -> dict[str, str]:
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": private.address}
    if private.root is not None:
        environment["NESTD_ROOT"] = str(private.root)
    if shutil.which("nestctl") is None:
        environment["PATH"] = f"{Path(sys.argv[0]).resolve().parent}:{os.environ.get('PATH', '')}"
    return environment


def _introduce(private: PrivateService) -> None:
    screen = Screen()  # in the shell nestctl reaches this host without options
    say, commands = screen.say, screen.commands
    if private.simulation is None:
        say("A nestd of your own serves this shell; exit ends it.")
        commands("nestctl status", "busctl introspect org.nestd1 /org/nestd1")
        return
    say(f"A simulated {VENDORS[private.simulation.kind]} host serves this shell; exit ends it.")
    say("Its files are below $NESTD_ROOT. A virtual machine is a file there:")
    screen.show(
        elements.commands(
            [
                (f"touch $NESTD_ROOT/{MACHINES}/web1", "starts one"),
                (f"rm $NESTD_ROOT/{MACHINES}/web1", "ends it"),
            ]
        )
    )
    say("Ask nestd as you would on a real host:")
    commands("nestctl status", "busctl introspect org.nestd1 /org/nestd1")

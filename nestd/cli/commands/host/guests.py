# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl vms and describe."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen.output import columns
from nestd.cli.service.errors import Exit


def add_to(commands: Any) -> None:
    """Add the commands."""
    add_command(commands, "vms", vms, "List the KVM virtual machines that run", json=True)
    about = "Print everything as one JSON document"
    add_command(commands, "describe", describe, about, json=True)


async def vms(session: Session, chosen: Namespace) -> Exit:
    """List virtual machines."""
    machines = await session.client.machines()
    if chosen.json:
        session.screen.json({"machines": machines})
    elif not machines:
        session.screen.say("No KVM virtual machine runs.")
    else:
        rows = [(each.name, str(each.pid), each.vmm, each.unit or "-") for each in machines]
        session.screen.show(columns(["NAME", "PID", "VMM", "UNIT"], rows))
    return Exit.DONE


async def describe(session: Session, chosen: Namespace) -> Exit:
    """Print the document as it comes; it is JSON with or without --json."""
    print((await session.client.describe()).rstrip("\n"))
    return Exit.DONE

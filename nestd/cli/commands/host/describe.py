# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl describe: everything that nestd knows, plus the results of checks run on request."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Awaitable, Mapping
from typing import Any, Callable

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.service.client import Client
from nestd.cli.service.errors import Exit

Part = Mapping[str, object]


def add_to(commands: Any) -> None:
    """Add the command."""
    about = "Print everything as one JSON document"
    parser = add_command(commands, "describe", run, about)
    parser.add_argument(
        "--with",
        dest="parts",
        action="append",
        default=[],
        choices=tuple(_PARTS),
        metavar="PART",
        help=f"with what else is asked for: {', '.join(_PARTS)}; may be given several times",
    )


async def run(session: Session, chosen: Namespace) -> Exit:
    """Print the document, which is JSON with or without --json."""
    client = session.client
    document = await client.describe()
    if not chosen.parts:
        session.screen.write(document.rstrip("\n") + "\n")
        return Exit.DONE
    found: dict[str, object] = {"host": json.loads(document)}
    found["nested"] = (await client.host()).nested
    for part in dict.fromkeys(chosen.parts):
        found.update(await _PARTS[part](client))
    session.screen.json(found)
    return Exit.DONE


async def _checks(client: Client) -> Part:
    """The findings of nestctl validate --json."""
    findings = await client.validate()
    return {"ready": not any(each.verdict == "fail" for each in findings), "findings": findings}


async def _guests(client: Client) -> Part:
    """The guests of nestctl guests --json."""
    return {"guests": await client.guests()}


async def _posture(client: Client) -> Part:
    """The findings of nestctl posture --json."""
    return {"posture": await client.posture()}


_PARTS: Mapping[str, Callable[[Client], Awaitable[Part]]] = {
    "checks": _checks,
    "guests": _guests,
    "posture": _posture,
}

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What switching nesting off means for the guests that run."""

from __future__ import annotations

from nestd.cli.invocation.session import Session
from nestd.cli.service.errors import CliError
from nestd.cli.service.values import Guest


async def tell(session: Session) -> None:
    """Say who keeps it and who would lose it, on standard error, before anything is asked for."""
    if session.screen.is_json:
        return
    try:
        guests = await session.client.guests()
    except CliError:
        return  # the change itself will say what is wrong
    given = [each for each in guests if each.exposed == "yes"]
    unknown = [each for each in guests if each.exposed == "unknown"]
    if given:
        names = ", ".join(map(_name, given))
        session.screen.note(
            f"With nesting now: {names}. They keep it until they are shut down, and start without"
            " it."
        )
    if unknown:
        names = ", ".join(map(_name, unknown))
        session.screen.note(f"Not known for these (see nestctl guests): {names}.")


def _name(guest: Guest) -> str:
    return f"{guest.name} (has run guests of its own)" if guest.nesting == "used" else guest.name

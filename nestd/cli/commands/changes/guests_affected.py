# SPDX-License-Identifier: LGPL-2.1-or-later
"""How switching nesting off affects running guests."""

from __future__ import annotations

from nestd.cli.invocation.session import Session
from nestd.cli.service.errors import CliError
from nestd.cli.service.values import Guest


async def tell(session: Session) -> None:
    """Name the guests that have nesting, or may have it, on standard error before the request."""
    if session.screen.is_json:
        return
    try:
        guests = await session.client.guests()
    except CliError:
        return  # the change itself reports the error
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

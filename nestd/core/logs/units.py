# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is asked of the service manager about libvirt's daemons, whoever answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from nestd.core.errors import NotSupported
from nestd.host.libvirt.daemons import MONOLITHIC


@dataclass(frozen=True)
class UnitFacts:
    """A daemon's service, and the sockets that start it."""

    known: bool = False  # whether there is such a unit, and a service manager
    active: bool = False  # the service, or a socket that starts it
    enabled: bool = False  # likewise, for the next boot
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_files: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()  # of its program, before variables are put in


class Mode(Enum):
    """Whether one daemon serves all of libvirt, or each driver has its own (docs/daemons.rst)."""

    MONOLITHIC = "monolithic"
    MODULAR = "modular"
    UNKNOWN = "unknown"


def mode(units: Mapping[str, UnitFacts]) -> Mode:
    """The mode of a host with these units, by daemon: what is active decides, then what is enabled.

    The units of the two modes conflict; where both or none are in use, nothing is known.
    """
    modular = [facts for name, facts in units.items() if name != MONOLITHIC]
    monolithic = units.get(MONOLITHIC, UnitFacts())
    for one, others in (
        (monolithic.active, any(facts.active for facts in modular)),
        (monolithic.enabled, any(facts.enabled for facts in modular)),
    ):
        if one != others:
            return Mode.MONOLITHIC if one else Mode.MODULAR
    return Mode.UNKNOWN


class Units(Protocol):
    """The service manager's units that are named after libvirt's daemons."""

    async def read(self, daemon: str) -> UnitFacts:
        """The facts as they are now. Never raises: what cannot be had is not known."""

    async def try_restart(self, daemon: str) -> None:
        """Restart the service if it runs, and wait until it is up. Raises RolledBack, telling why.

        Raises NotSupported where there is no service manager.
        """

    async def start(self, daemon: str) -> None:
        """Start the service, after a restart that failed, and wait. Never raises."""

    def listen(self, callback: Callable[[], None]) -> None:
        """Call CALLBACK when units may have changed."""


class NoUnits:
    """A host without a service manager that can be asked."""

    async def read(self, daemon: str) -> UnitFacts:
        """Nothing is known."""
        return UnitFacts()

    async def try_restart(self, daemon: str) -> None:
        """Cannot be done."""
        raise NotSupported(f"There is no systemd to restart {daemon} with.")

    async def start(self, daemon: str) -> None:
        """Nothing was stopped before."""

    def listen(self, callback: Callable[[], None]) -> None:
        """Nothing will change."""

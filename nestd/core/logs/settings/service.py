# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts and restarts one of libvirt's daemons by its unit."""

from __future__ import annotations

import asyncio
import time

from nestd.core.errors import DaemonUnavailable, NotSupported, RolledBack
from nestd.host.libvirt import daemons as libvirt_daemons
from nestd.host.libvirt.daemons import DaemonProcess
from nestd.host.libvirt.interface import NoServiceManager, UnitError, UnitFacts, Units
from nestd.host.root import Root

APPEAR_SECONDS = 10.0  # from the unit's start until the daemon's pid file exists
_LOOK_SECONDS = 0.05


class DaemonService:
    """The daemon NAME with its unit; facts are from the last look."""

    def __init__(self, root: Root, name: str, units: Units) -> None:
        self._root = root
        self._name = name
        self._units = units
        self.facts = UnitFacts()

    async def look(self) -> None:
        """Read the unit's facts."""
        self.facts = await self._units.read(self._name)

    def process(self) -> DaemonProcess | None:
        """The daemon's present process: contacting a daemon without one would start it."""
        return libvirt_daemons.read_process(self._root, self._name)

    @property
    def starts_on_demand(self) -> bool:
        """Whether a systemd socket would start it on a connection."""
        return self.facts.listening

    def unavailable(self) -> DaemonUnavailable:
        """The error for a daemon that does not run, with advice if there is any."""
        unit = f"{self._name}.service"
        hint = f" To start it: systemctl start {unit}" if self.facts.known else ""
        return DaemonUnavailable(f"{self._name} does not run.{hint}")

    async def start(self) -> None:
        """Start the daemon by its unit and wait for its process. Raises DaemonUnavailable."""
        try:
            await self._units.start(self._name)
        except UnitError as error:
            raise DaemonUnavailable(f"{self._name} does not start: {error}") from error
        except NoServiceManager:
            raise DaemonUnavailable(f"{self._name} does not run.") from None
        deadline = time.monotonic() + APPEAR_SECONDS
        while self.process() is None:
            if time.monotonic() > deadline:
                raise DaemonUnavailable(f"{self._name} was started, but does not run.")
            await asyncio.sleep(_LOOK_SECONDS)

    async def restart(self) -> None:
        """Restart the daemon if it runs. Raises RolledBack or NotSupported."""
        try:
            await self._units.try_restart(self._name)
        except UnitError as error:
            raise RolledBack(str(error)) from error
        except NoServiceManager:
            text = f"There is no systemd to restart {self._name} with."
            raise NotSupported(text) from None

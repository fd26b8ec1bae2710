# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemons as nestd sees them: their units and their admin servers.

As with the kernel, files below the Root are read; systemd and virt-admin act on a real host,
host.simulated.libvirt on a simulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class UnitError(Exception):
    """A unit could not be started or restarted; the text is a sentence that says why."""


class NoServiceManager(Exception):
    """There is no service manager that can be asked."""


@dataclass(frozen=True)
class UnitFacts:
    """A daemon's service, and the sockets that start it."""

    known: bool = False  # whether there is such a unit, and a service manager
    active: bool = False  # the service, or a socket that starts it
    listening: bool = False  # a socket that starts it
    enabled: bool = False  # the service or the socket, for the next boot
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_files: tuple[str, ...] = ()
    program: str = ""  # what ExecStart= runs
    arguments: tuple[str, ...] = ()  # of its program, before variables are put in


class Units(Protocol):
    """The service manager's units that are named after libvirt's daemons."""

    async def read(self, daemon: str) -> UnitFacts:
        """The facts as they are now. Never raises: facts that cannot be read are unknown."""

    async def try_restart(self, daemon: str) -> None:
        """Restart the service if it runs, and wait until it is up.

        Raises UnitError or NoServiceManager.
        """

    async def start(self, daemon: str) -> None:
        """Start the service and wait until it is up. Raises UnitError or NoServiceManager."""

    def listen(self, callback: Callable[[], None]) -> None:
        """Call CALLBACK when units may have changed."""


class LogAdmin(Protocol):
    """The log settings of one running daemon. Everything here raises VirtAdminError."""

    async def filters(self) -> str:
        """As the daemon prints them, for example "1:*qemu* 3:*remote* "."""

    async def outputs(self) -> str:
        """As the daemon prints them; "" where it has none at all."""

    async def set_filters(self, text: str) -> None:
        """Replace all filters; raises Refused."""

    async def set_outputs(self, text: str) -> None:
        """Replace all outputs; "" stands for libvirt's default; raises Refused."""

    async def set_timeout(self, seconds: int) -> None:
        """Have the daemon end when it was idle for SECONDS, 0 for never; raises Refused."""


class NoUnits:
    """A host without a service manager that can be asked."""

    async def read(self, daemon: str) -> UnitFacts:
        """Nothing is known."""
        return UnitFacts()

    async def try_restart(self, daemon: str) -> None:
        """Cannot be done."""
        raise NoServiceManager

    async def start(self, daemon: str) -> None:
        """Cannot be done."""
        raise NoServiceManager

    def listen(self, callback: Callable[[], None]) -> None:
        """Nothing will change."""

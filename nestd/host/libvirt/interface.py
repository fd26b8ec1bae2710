# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemons as nestd sees them: their units and their admin servers.

As with the kernel, files below the Root are read; commands go to systemd and virt-admin on a real
host, to host.simulated.libvirt on a simulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class UnitError(Exception):
    """A unit could not be started or restarted; the text is one sentence that says why."""


class NoServiceManager(Exception):
    """No service manager can be reached."""


@dataclass(frozen=True)
class UnitFacts:
    """A daemon's service and the sockets that start it."""

    known: bool = False  # whether the unit exists, and a service manager
    active: bool = False  # the service or one of its sockets
    listening: bool = False  # one of its sockets
    enabled: bool = False  # the service or the socket, for the next boot
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_files: tuple[str, ...] = ()
    program: str = ""  # what ExecStart= runs
    arguments: tuple[str, ...] = ()  # of the program, before variable expansion


class Units(Protocol):
    """The service manager's units named after libvirt's daemons."""

    async def read(self, daemon: str) -> UnitFacts:
        """Read the current facts. Never raises; facts that cannot be read are unknown."""

    async def try_restart(self, daemon: str) -> None:
        """Restart the service if it runs, and wait until it has started.

        Raises UnitError or NoServiceManager.
        """

    async def start(self, daemon: str) -> None:
        """Start the service and wait for it. Raises UnitError or NoServiceManager."""

    def listen(self, callback: Callable[[], None]) -> None:
        """Call CALLBACK when units may have changed."""


class LogAdmin(Protocol):
    """The log settings of one running daemon. All methods raise VirtAdminError."""

    async def filters(self) -> str:
        """The filters as reported by the daemon, for example "1:*qemu* 3:*remote* "."""

    async def outputs(self) -> str:
        """The outputs as reported by the daemon; "" if it has none at all."""

    async def set_filters(self, text: str) -> None:
        """Replace all filters; raises Refused."""

    async def set_outputs(self, text: str) -> None:
        """Replace all outputs; "" stands for libvirt's default; raises Refused."""

    async def set_timeout(self, seconds: int) -> None:
        """Make the daemon exit after SECONDS of idle time, 0 for never; raises Refused."""


class NoUnits:
    """A host on which no service manager can be reached."""

    async def read(self, daemon: str) -> UnitFacts:
        """Nothing is known of any unit."""
        return UnitFacts()

    async def try_restart(self, daemon: str) -> None:
        """Cannot be done."""
        raise NoServiceManager

    async def start(self, daemon: str) -> None:
        """Cannot be done."""
        raise NoServiceManager

    def listen(self, callback: Callable[[], None]) -> None:
        """Nothing will ever change."""

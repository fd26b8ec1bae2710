# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every command gets: the service, the screen, and which service it is."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Callable

from nestd.cli.local.private_service import PrivateService
from nestd.cli.screen.output import Screen
from nestd.cli.service.client import Client
from nestd.cli.service.errors import CliError
from nestd.cli.service.values import Host, Module


@dataclass(frozen=True)
class Session:
    """One run of nestctl. private is there where the service ends with this command."""

    client: Client
    screen: Screen
    private: PrivateService | None
    program: str
    """How to call nestctl again on the same service."""

    def main_module(self, host: Host) -> Module:
        """The module that a command without a module's name means. Raises CliError."""
        if host.main is None:
            text = "This host has no KVM module with nested virtualization."
            raise CliError(text, f"See why: {self.program} validate")
        return host.main


Run = Callable[[Session, Namespace], Awaitable[int]]
"""A command; returns its exit code."""
RunOffline = Callable[[Screen, Namespace], Awaitable[int]]
"""A command that needs no service."""

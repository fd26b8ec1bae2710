# SPDX-License-Identifier: LGPL-2.1-or-later
"""The session passed to every command: the service, the screen, and a private service if any."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Callable, NamedTuple

from nestd.cli.service.errors import NOT_SUPPORTED, CliError
from nestd.cli.service.values import Host, Module

if TYPE_CHECKING:  # --version and --help do not need it
    from argparse import Namespace

    from nestd.cli.local.private_service import PrivateService
    from nestd.cli.screen.output import Screen
    from nestd.cli.service.client import Client


class Session(NamedTuple):
    """One run of nestctl. private is the service that ends with this command, or None."""

    client: Client
    screen: Screen
    private: PrivateService | None

    def main_module(self, host: Host) -> Module:
        """The module that commands use if none is named. Raises CliError."""
        if host.main is None:
            text = "This host has no KVM module with nested virtualization."
            hint = "See why:\n  nestctl validate"
            if host.backend and host.nested.running in ("yes", "no"):
                text = "Here no module decides nested virtualization, so nestctl cannot switch it."
                hint = "To see what decides, and how it is changed:\n  nestctl validate"
            raise CliError(text, hint, name=NOT_SUPPORTED)
        return host.main


Run = Callable[[Session, "Namespace"], Awaitable[int]]
"""A command that uses the service; returns its exit code."""
RunOffline = Callable[["Screen", "Namespace"], Awaitable[int]]
"""A command that needs no service."""

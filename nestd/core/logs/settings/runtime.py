# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log settings of a running libvirt daemon: reads, sets, verifies and restores them.

Contact a daemon only if its process has been seen, since contacting starts an idle one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nestd.core.errors import DaemonUnavailable, InvalidFilter, InvalidOutput, NestdError
from nestd.core.logs.settings.request import LogSettings
from nestd.formats.libvirt import log_filters, log_outputs
from nestd.formats.libvirt.log_filters import Filter
from nestd.formats.libvirt.log_items import InvalidItem
from nestd.formats.libvirt.log_outputs import Output
from nestd.formats.libvirt.log_readback import filters_to_set, outputs_to_set
from nestd.host.libvirt.interface import LogAdmin
from nestd.host.libvirt.virt_admin import Refused, VirtAdminError


@dataclass(frozen=True)
class Running:
    """The exact text that a daemon reports, so that exactly the same can be restored."""

    filters: str
    outputs: str

    def parsed_filters(self) -> tuple[Filter, ...]:
        """The filters. Raises InvalidItem for invalid text, which Runtime never returns."""
        return log_filters.parse_readback(self.filters)

    def parsed_outputs(self) -> tuple[Output, ...]:
        """The outputs. Raises InvalidItem likewise."""
        return log_outputs.parse_readback(self.outputs)

    def equals(self, other: Running) -> bool:
        """Whether both mean the same."""
        filters = self.parsed_filters() == other.parsed_filters()
        return filters and self.parsed_outputs() == other.parsed_outputs()

    def satisfies(self, settings: LogSettings) -> bool:
        """Whether SETTINGS are in use; with libvirt's default outputs, any outputs count."""
        if self.parsed_filters() != settings.filters:
            return False
        return not settings.outputs or self.parsed_outputs() == settings.outputs


class Runtime:
    """The daemon NAME behind ADMIN. All methods raise DaemonUnavailable."""

    def __init__(self, name: str, admin: LogAdmin) -> None:
        self._name = name
        self._admin = admin

    async def read(self) -> Running:
        """The settings that the daemon uses now."""
        with self._explained():
            running = Running(await self._admin.filters(), await self._admin.outputs())
        try:
            running.parsed_filters(), running.parsed_outputs()
        except InvalidItem as error:
            raise DaemonUnavailable(f"{self._name} reports unknown settings: {error}.") from error
        return running

    async def apply(self, settings: LogSettings) -> None:
        """Set SETTINGS and read them back. After a failure some may be set: see restore().

        Raises InvalidOutput or InvalidFilter if the daemon refuses them.
        """
        if settings.outputs is not None:
            with self._explained(InvalidOutput):
                await self._admin.set_outputs(log_outputs.canonical(settings.outputs))
        with self._explained(InvalidFilter):
            await self._admin.set_filters(log_filters.canonical(settings.filters))
        if not (await self.read()).satisfies(settings):
            raise DaemonUnavailable(f"{self._name} did not apply the new settings.")

    async def restore(self, before: Running) -> None:
        """Restore the settings BEFORE where they are not in use, and read them back."""
        now = await self.read()
        with self._explained():
            if now.parsed_filters() != before.parsed_filters():
                await self._admin.set_filters(filters_to_set(before.filters))
            if now.parsed_outputs() != before.parsed_outputs():
                await self._admin.set_outputs(outputs_to_set(before.outputs))
        if now.equals(before):
            return
        if not (await self.read()).equals(before):
            raise DaemonUnavailable(f"{self._name} did not return to its previous settings.")

    async def set_timeout(self, seconds: int) -> bool:
        """Make the daemon exit after SECONDS of idle time, 0 for never; False if unsupported."""
        with self._explained():
            try:
                await self._admin.set_timeout(seconds)
            except Refused:
                return False
        return True

    @contextmanager
    def _explained(self, refusal: type[NestdError] = DaemonUnavailable) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            raise refusal(f"{self._name} refuses: {error}.") from error
        except VirtAdminError as error:
            raise DaemonUnavailable(f"{self._name} cannot be queried: {error}.") from error

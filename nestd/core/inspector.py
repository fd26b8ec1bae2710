# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the checks on the host. Any user may request them as often as it likes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from nestd.core.checks.finding import Finding
from nestd.core.checks.guest.check_guest import GuestReport, check_guest, read_domain
from nestd.core.checks.host.log_settings import log_settings
from nestd.core.checks.host.validate import validate
from nestd.core.checks.situation import Situation
from nestd.core.hidden import EVERYBODY, Reader
from nestd.core.logs.settings.state import LogState
from nestd.core.modules.view import HostView
from nestd.host.machine.surroundings import Surroundings, read_surroundings


class Inspector:
    """Checks the host and guests. LOG_STATES returns the states of libvirt's daemons."""

    def __init__(self, view: HostView, log_states: Callable[[], Sequence[LogState]]) -> None:
        self._view = view
        self._log_states = log_states
        # One search of the initramfs at a time: it takes seconds, and its result is cached.
        self._looking = asyncio.Lock()

    async def validate(self, reader: Reader = EVERYBODY) -> tuple[Finding, ...]:
        """Whether the host is fit for nested virtualization, as far as READER may see it."""
        async with self._looking:
            surroundings = await self._surroundings(self._view.snapshot().host_module)
        logs = log_settings(self._log_states())
        found = validate(self._situation(surroundings, reader))
        return (*found, *([] if logs is None else [logs]))

    async def check_guest(self, domain_xml: str) -> GuestReport:
        """Whether a guest with this XML can run guests on this host. Raises InvalidArgument."""
        domain = await asyncio.to_thread(read_domain, domain_xml)
        return check_guest(domain, self._situation(await self._surroundings("")))

    async def _surroundings(self, module: str) -> Surroundings:
        kernel, virtualization = self._view.kernel, self._view.snapshot().virtualization
        return await read_surroundings(
            self._view.root, kernel.machine, kernel.release, module, virtualization
        )

    def _situation(self, surroundings: Surroundings, reader: Reader = EVERYBODY) -> Situation:
        facts = self._view.facts().for_reader(sees_all=reader.sees_files)
        return Situation(facts, self._view.derived(facts), surroundings)

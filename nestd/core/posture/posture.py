# SPDX-License-Identifier: LGPL-2.1-or-later
"""The risks of nesting on this host, as findings in the form of Validate's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from nestd.core.checks.finding import Finding
from nestd.core.guests.guests import Guests
from nestd.core.modules.view import HostView
from nestd.core.posture import cves, host, mitigations
from nestd.core.posture.standing import Standing
from nestd.host.kernel.kvm_device import read_device
from nestd.host.posture.distribution import Distribution
from nestd.host.posture.vulnerabilities import read_vulnerabilities

CHECKS: tuple[Callable[[Standing], Sequence[Finding]], ...] = (
    host.nested,
    host.device,
    host.guests,
    mitigations.command_line,
    mitigations.processor,
    mitigations.nx_huge_pages,
    mitigations.avic,
    cves.known,
)


class Posture:
    """Collects the host's facts and derives the findings."""

    def __init__(self, view: HostView, guests: Guests) -> None:
        self._view = view
        self._guests = guests
        self._distribution = Distribution(view.root, view.kernel.release)

    async def findings(self) -> tuple[Finding, ...]:
        """All findings, in display order."""
        guests = await self._guests.list()
        advice = await self._distribution.read()
        found = await asyncio.to_thread(
            lambda: (read_device(self._view.root), read_vulnerabilities(self._view.root))
        )
        facts, snapshot = self._view.facts(), self._view.snapshot()
        standing = Standing(facts, snapshot, guests, self._view.machines_known, *found, advice)
        return tuple(finding for check in CHECKS for finding in check(standing))

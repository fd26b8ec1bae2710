# SPDX-License-Identifier: LGPL-2.1-or-later
"""The number of virtual machines: the kernel's own count, or else one taken by nestd."""

from __future__ import annotations

import asyncio
from typing import Callable

from nestd.host.kernel import kvm_holders
from nestd.host.kernel.interface import Change, KernelEvent
from nestd.host.root import Root


class MachineCount:
    """The machines of ROOT. Calls ON_COUNT after each count, and each of on_machines when one was
    created or destroyed.

    Without debugfs, counting must inspect every process, so only callers that need the number
    wait for the first count.
    """

    def __init__(self, root: Root, on_count: Callable[[], None]) -> None:
        self._root = root
        self._on_count = on_count
        self.value = 0  # at the latest count; 0 before the first
        self.on_machines: list[Callable[[], None]] = []
        self._ids: frozenset[str] | None = None  # at the latest count, None before the first
        self._latest = (-1, 0)  # (created, -count) of the kernel's latest count
        self._counting: asyncio.Task[None] | None = None
        self._again = False

    def close(self) -> None:
        """Stop counting."""
        if self._counting is not None:
            self._counting.cancel()

    @property
    def is_known(self) -> bool:
        """Whether the machines have been counted."""
        return self._ids is not None

    async def known(self) -> None:
        """Wait for the first count."""
        if not self.is_known:
            if self._counting is None:
                self.count_soon()
            assert self._counting is not None
            await asyncio.wait({self._counting})

    def on_event(self, event: KernelEvent) -> None:
        """Handle a hint from the kernel."""
        if event.created is not None and event.count is not None:
            # The kernel's own absolute count; see KernelEvent for the order.
            sample = (event.created, -event.count)
            if sample > self._latest:
                self._latest = sample
                self.value = event.count
            self._announce()
        elif event.change is Change.LOST or event.module == "kvm":
            # kvm.ko counts from zero each time it is loaded.
            self._latest = (-1, 0)
            self.count_soon()

    def count_soon(self) -> None:
        """Schedule another count."""
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count())
        else:
            self._again = True

    def _announce(self) -> None:
        for listener in self.on_machines:
            listener()

    async def _count(self) -> None:
        while True:
            self._again = False
            before = self._latest
            ids = await asyncio.to_thread(kvm_holders.machine_ids, self._root)
            known, self._ids = self._ids, ids
            if before == self._latest:  # else the kernel has reported a later count meanwhile
                self.value = len(ids)
                self._on_count()
            if known not in (None, ids):
                self._announce()
            if not self._again:
                return

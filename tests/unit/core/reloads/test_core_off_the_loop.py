# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations that a slow disk may delay run in threads, not on the event loop."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nestd.core.changes.changes import Changes
from nestd.core.drift.drift import OnDrift
from nestd.core.drift.watch import DriftWatch
from nestd.core.model import When
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.recovery import recover
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

FILES = 60
FSYNC_SECONDS, OPEN_SECONDS = 0.2, 0.005


class Slow:
    """Delays fsync(2) and each open(2) of a file in modprobe.d; records those on the event loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self._loop = threading.get_ident()
        self._directory = os.fspath(directory)
        self.delayed = 0
        self.on_loop: list[str] = []
        monkeypatch.setattr(os, "fsync", self._after(os.fsync, lambda *_: FSYNC_SECONDS))
        monkeypatch.setattr(os, "open", self._after(os.open, self._open_seconds))

    def _open_seconds(self, path: object, *_: object) -> float:
        return OPEN_SECONDS if self._directory in os.fspath(path) else 0.0  # type: ignore[call-overload]

    def _after(
        self, function: Callable[..., Any], seconds: Callable[..., float]
    ) -> Callable[..., Any]:
        def slow(*arguments: Any, **options: Any) -> Any:
            delay = seconds(*arguments)
            if delay:
                self.delayed += 1
                time.sleep(delay)
                if threading.get_ident() == self._loop:
                    frames = traceback.extract_stack(limit=14)
                    ours = [each for each in frames if "nestd" in each.filename]
                    self.on_loop.append(" < ".join(each.name for each in reversed(ours)))
            return function(*arguments, **options)

        return slow


def test_no_slow_disk_holds_the_loop_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(tmp_path)
    kernel = SimulatedKernel(root, KINDS["intel"])
    directory = root.at("/etc/modprobe.d")
    for number in range(FILES):
        (directory / f"other-{number}.conf").write_text("options x y=1\n")

    async def body() -> None:
        view = HostView(root, kernel, KMOD, "none")
        await view.start()
        reloads = Reloads(view, Records(root))
        await recover(reloads)
        changes = Changes(view, reloads)
        drift = DriftWatch(changes, OnDrift.REPORT, 0.05)
        drift.start()
        told = asyncio.Event()
        view.listen(told.set)
        # Recently written files are read again at each look, unless a watch proves them unchanged.
        monkeypatch.setattr(kernel, "load", _loads_unmeasured(kernel, slow := _slow()))
        for value, when in (("0", When.BOOT), ("0", When.NOW), ("1", When.IDLE)):
            await changes.plan("kvm_intel", {"nested": value}, when)
            change = await changes.request("kvm_intel", {"nested": value}, when)
            await changes.apply(change, 0)
            while reloads.jobs.current():
                await asyncio.sleep(0.01)
        told.clear()
        (directory / "other-0.conf").write_text("options kvm_intel nested=0\n")
        await asyncio.wait_for(told.wait(), 10)
        await asyncio.sleep(0.3)
        assert slow.delayed > 10
        assert sorted(set(slow.on_loop)) == []
        await drift.close()
        await reloads.close()
        view.close()

    def _slow() -> Slow:
        return Slow(monkeypatch, directory)

    asyncio.run(body())


def _loads_unmeasured(kernel: SimulatedKernel, slow: Slow) -> Callable[..., Any]:
    """The simulated modprobe reads modprobe.d in this process, which is not part of nestd."""
    load = kernel.load

    async def quick(*arguments: Any, **options: Any) -> None:
        before = list(slow.on_loop)
        await load(*arguments, **options)
        slow.on_loop[:] = before

    return quick

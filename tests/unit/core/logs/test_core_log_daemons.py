# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which daemons there are on hosts of either mode, and when that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from nestd.core.logs.daemon import LogDaemon
from nestd.core.logs.daemons import LogDaemons
from nestd.core.logs.settings.units import Mode, mode
from nestd.host.libvirt.interface import NoUnits, UnitFacts
from nestd.host.root import Root

ACTIVE = UnitFacts(known=True, active=True)
ENABLED = UnitFacts(known=True, enabled=True)
UNUSED = UnitFacts(known=True)


class Units(NoUnits):
    def __init__(self, **facts: UnitFacts) -> None:
        self.facts = facts
        self.changed: Callable[[], None] = lambda: None

    async def read(self, daemon: str) -> UnitFacts:
        return self.facts.get(daemon, UnitFacts())

    def listen(self, callback: Callable[[], None]) -> None:
        self.changed = callback


@pytest.mark.parametrize(
    ("libvirtd", "virtqemud", "expected"),
    [
        (ACTIVE, UNUSED, Mode.MONOLITHIC),
        (ACTIVE, ENABLED, Mode.MONOLITHIC),
        (ENABLED, ACTIVE, Mode.MODULAR),
        (UNUSED, ENABLED, Mode.MODULAR),
        (UNUSED, UNUSED, Mode.UNKNOWN),
        (ACTIVE, ACTIVE, Mode.UNKNOWN),
    ],
)
def test_mode(libvirtd: UnitFacts, virtqemud: UnitFacts, expected: Mode) -> None:
    assert mode({"libvirtd": libvirtd, "virtqemud": virtqemud}) is expected


def test_daemons_of_the_other_mode_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    for name in ("libvirtd", "virtqemud", "virtnetworkd"):
        (tmp_path / "usr/sbin" / name).touch()

    async def test() -> None:
        units = Units(libvirtd=ACTIVE, virtqemud=UNUSED)
        daemons = LogDaemons(Root(tmp_path), units)
        seen = asyncio.Event()
        await daemons.start()
        daemons.on_change.append(seen.set)
        assert set(daemons.daemons) == {"libvirtd"}
        units.facts = {"libvirtd": UNUSED, "virtqemud": ACTIVE}
        units.changed()
        await asyncio.wait_for(seen.wait(), 10)
        assert set(daemons.daemons) == {"virtqemud", "virtnetworkd"}
        seen.clear()
        (tmp_path / "usr/sbin/virtnetworkd").unlink()
        await asyncio.wait_for(seen.wait(), 10)
        assert set(daemons.daemons) == {"virtqemud"}
        await daemons.close()

    asyncio.run(test())


def test_without_units_all_are_there(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    for name in ("libvirtd", "virtqemud"):
        (tmp_path / "usr/sbin" / name).touch()

    async def test() -> tuple[str, ...]:
        daemons = LogDaemons(Root(tmp_path), NoUnits())
        await daemons.start()
        names = tuple(daemons.daemons)
        await daemons.close()
        return names

    assert asyncio.run(test()) == ("libvirtd", "virtqemud")


@pytest.mark.parametrize("is_ours", [True, False])
def test_what_another_nestd_left_is_taken_over_unless_it_still_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_ours: bool
) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/libvirtd").touch()
    resumed = []

    async def resume(daemon: LogDaemon) -> None:
        resumed.append(daemon.name)

    async def test() -> None:
        daemons = LogDaemons(Root(tmp_path), NoUnits(), is_ours=is_ours)
        await daemons.start()
        await daemons.close()

    monkeypatch.setattr(LogDaemon, "resume", resume)
    asyncio.run(test())
    assert resumed == (["libvirtd"] if is_ours else [])

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemons on hosts in either mode, and when they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from nestd.core.checks.finding import Verdict
from nestd.core.checks.host.log_settings import log_settings
from nestd.core.logs.daemon import LogDaemon
from nestd.core.logs.daemons import LogDaemons
from nestd.core.logs.settings.state import LogState
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


def test_a_program_is_also_where_its_unit_says(tmp_path: Path) -> None:
    """As on NixOS, which has no /usr/sbin."""
    program = "/nix/store/abc-libvirt/sbin/libvirtd"
    (tmp_path / program.lstrip("/")).parent.mkdir(parents=True)
    (tmp_path / program.lstrip("/")).touch()
    gone = UnitFacts(known=True, program="/nix/store/old/sbin/virtqemud")

    async def test() -> tuple[str, ...]:
        units = Units(libvirtd=UnitFacts(known=True, program=program), virtqemud=gone)
        daemons = LogDaemons(Root(tmp_path), units)
        await daemons.start()
        names = tuple(daemons.daemons)
        await daemons.close()
        return names

    assert asyncio.run(test()) == ("libvirtd",)


@pytest.mark.parametrize(
    ("active", "file", "daemon", "words"),
    [
        ("virtqemud", "libvirtd.conf", "virtqemud", "uses libvirt's modular daemons"),
        ("libvirtd", "virtqemud.conf", "libvirtd", "uses libvirtd, which reads /etc/libvirt/lib"),
        ("libvirtd", "libvirt.conf", "libvirtd", "is for libvirt's clients"),
        ("virtqemud", "virtstoraged.conf", "virtqemud", "virtstoraged is not installed"),
    ],
)
def test_a_file_that_nobody_reads_is_told(
    tmp_path: Path, active: str, file: str, daemon: str, words: str
) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "etc/libvirt").mkdir(parents=True)
    for name in ("libvirtd", "virtqemud"):
        (tmp_path / "usr/sbin" / name).touch()
    (tmp_path / "etc/libvirt" / file).write_text('log_filters = "1:qemu"\n')

    async def test() -> tuple[str, ...]:
        units = Units(**{"libvirtd": UNUSED, "virtqemud": UNUSED, active: ACTIVE})
        daemons = LogDaemons(Root(tmp_path), units)
        await daemons.start()
        warnings = daemons.daemon(daemon).state.warnings
        await daemons.close()
        return warnings

    [warning] = asyncio.run(test())
    assert warning.startswith(f"/etc/libvirt/{file} sets what is logged")
    assert words in warning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('log_filters = "3:util 1:util.pci"', "1:util.pci"),
        ('log_filters = "1:qemu,1"', "qemu,1"),
        ('log_filters = "1:nothing 1:nothing"', "1:nothing matches no known category"),
        ("log_level = 1", "og_level = 1 without filters"),
        ('log_filters = "1:qemu"', "No output shows the debug messages"),
        ('log_outputs = "1:file:/nowhere/x.log"', "libvirtd cannot start: the directory"),
        ("log_filters = 1:qemu", "libvirtd cannot start: /etc/libvirt/libvirtd.conf:1:"),
        ("log_filters: x", "libvirtd cannot start: /etc/libvirt/libvirtd.conf:1:"),
    ],
)
def test_what_is_odd_about_a_configuration_is_told_and_found(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "etc/libvirt").mkdir(parents=True)
    (tmp_path / "usr/sbin/libvirtd").touch()
    (tmp_path / "etc/libvirt/libvirtd.conf").write_text(text + "\n")

    async def test() -> LogState:
        daemons = LogDaemons(Root(tmp_path), NoUnits())
        await daemons.start()
        [state] = daemons.states()
        await daemons.close()
        return state

    state = asyncio.run(test())
    assert any(words in each for each in state.warnings), state.warnings
    assert len(set(state.warnings)) == len(state.warnings)
    assert sum("/nowhere" in each for each in state.warnings) <= 1  # reported once
    finding = log_settings([state])
    assert finding is not None
    assert finding.verdict is Verdict.WARN
    assert words in finding.summary


def test_defaults_are_nothing_to_tell(tmp_path: Path) -> None:
    assert log_settings([LogState("libvirtd", "/etc/libvirt/libvirtd.conf")]) is None

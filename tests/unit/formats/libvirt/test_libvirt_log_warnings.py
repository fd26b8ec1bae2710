# SPDX-License-Identifier: LGPL-2.1-or-later
"""Warnings about log settings, the known categories, and the presets."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nestd.formats.libvirt import log_outputs
from nestd.formats.libvirt.log_categories import CATEGORIES
from nestd.formats.libvirt.log_filters import MAX_FILTERS, canonical, effective, parse_strict
from nestd.formats.libvirt.log_presets import PRESETS, preset
from nestd.formats.libvirt.log_warnings import warnings

FILE = "1:file:/var/log/libvirt/libvirtd.log"


def warned(filters: str, outputs: str = FILE, log_level: int = 0) -> tuple[str, ...]:
    return warnings(parse_strict(filters), log_outputs.parse_strict(outputs), log_level)


def test_the_categories_are_those_of_libvirt_s_source() -> None:
    text = (Path(__file__).parents[2] / "data" / "libvirt-log-categories.txt").read_text()
    lines = [line.split("\t")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == 344
    assert set(CATEGORIES) == set(lines)
    assert list(CATEGORIES) == sorted(set(CATEGORIES))


def test_sound_settings_raise_no_warning() -> None:
    assert warned("") == ()
    assert warned("1:qemu 3:remote") == ()
    assert warned("4:json 1:qemu 3:event 1:*") == ()
    assert warned("3:remote 4:event", "") == ()
    assert warned("1:qemu", f"3:journald {FILE}") == ()
    assert warned("", "", 3) == ()
    assert warned("1:qemu", FILE, 1) == ()


def test_a_filter_that_matches_nothing_known() -> None:
    assert warned("1:qemu 1:qemmu") == ("1:qemmu matches no known category of libvirt",)


def test_a_filter_shadowed_by_a_more_general_one() -> None:
    assert warned("1:util 3:util.json") == (
        "3:util.json never takes effect: 1:util before it matches all that it matches",
    )
    assert warned("1:* 3:rem?te")[0].startswith("3:rem?te never takes effect: 1:* before it")
    assert warned("1:nonsense 1:more.nonsense") == (
        "1:nonsense matches no known category of libvirt",
        "1:more.nonsense matches no known category of libvirt",
        "1:more.nonsense never takes effect: 1:nonsense before it matches all that it matches",
    )


def test_a_filter_shadowed_as_far_as_the_categories_are_known() -> None:
    # Together, but not alone, the first two match everything that contains the third.
    assert [category for category in CATEGORIES if "access." in category] == [
        "access.accessdriverpolkit",
        "access.accessmanager",
    ]
    assert warned("1:driverpolkit 2:manager 3:access.") == (
        "3:access. never takes effect: the filters before it match every known category that it"
        " matches",
    )
    assert warned("1:driverpolkit 3:access.") == ()


def test_debug_messages_that_no_output_shows() -> None:
    assert warned("1:qemu 2:remote", "") == (
        "no output shows the debug messages of 1:qemu: 3:journald starts at level 3",
        "no output shows the info messages of 2:remote: 3:journald starts at level 3",
    )
    assert warned("1:qemu 2:remote", "2:stderr 4:journald") == (
        "no output shows the debug messages of 1:qemu: 2:stderr 4:journald starts at level 2",
    )
    many = warned("1:qemu 1:remote 1:json 1:rpc 1:conf 1:access 1:lxc", "4:journald")
    assert many[0].startswith(
        "no output shows the debug messages of 1:qemu, 1:remote, 1:json, 1:rpc, 1:conf and 2 more:"
    )


@pytest.mark.parametrize(("log_level", "shows"), [(0, 3), (1, 2), (2, 2), (3, 3), (4, 4)])
def test_the_default_output_depends_on_log_level(log_level: int, shows: int) -> None:
    (words,) = warned("1:qemu", "", log_level)
    assert words.endswith(f": {shows}:journald starts at level {shows}")


def test_log_level_1_alone() -> None:
    (words,) = warned("", FILE, 1)
    assert words.startswith("log_level = 1 without filters logs the debug messages of all parts")


def test_the_largest_texts_are_looked_at_soon() -> None:
    for item in ("1:zz{}", "1:?*?*z{}", "1:qemu", "1:?" + "a?" * 9 + "{}", "1:?*?*?*{}"):
        filters = parse_strict(" ".join(item.format(number) for number in range(MAX_FILTERS)))
        started = time.process_time()
        assert warnings(filters, ())
        assert time.process_time() - started < 1


def test_presets_may_be_written_as_they_are() -> None:
    for known in PRESETS:
        assert preset(known.name) is known
        assert canonical(parse_strict(known.filters)) == known.filters
        assert warned(known.filters) == ()
    assert len({known.name for known in PRESETS}) == len(PRESETS)
    with pytest.raises(KeyError):
        preset("nonsense")


def test_presets_show_what_they_are_for() -> None:
    levels = {
        known.name: [
            effective(parse_strict(known.filters), category)
            for category in (
                "qemu.qemu_process",
                "qemu.qemu_monitor_json",
                "util.json",
                "rpc.virnet",
            )
        ]
        for known in PRESETS
    }
    assert levels["qemu"] == [1, 1, 3, 3]
    assert levels["qmp"] == [3, 2, 3, 3]
    assert levels["all-less-noise"] == [1, 1, 3, 3]

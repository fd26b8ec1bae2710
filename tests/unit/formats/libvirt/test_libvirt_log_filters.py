# SPDX-License-Identifier: LGPL-2.1-or-later
"""Log filters and their patterns: libvirt's recorded answers, and what may be written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from nestd.formats.libvirt.log_filters import (
    MAX_FILTERS,
    Filter,
    InvalidFilter,
    canonical,
    effective,
    parse_readback,
    parse_strict,
)
from nestd.formats.libvirt.log_items import MAX_READBACK, MAX_TEXT, Level
from nestd.formats.libvirt.log_patterns import covers, matches, normal

DATA = Path(__file__).parents[2] / "data"
LIBVIRT_9 = json.loads((DATA / "libvirt-oracle-log-9.0.0.json").read_text())["filters"]
LIBVIRT_7 = json.loads((DATA / "libvirt-oracle-log-7.0.0.json").read_text())["filters"]
MATCHES = json.loads((DATA / "libvirt-oracle-match-9.0.0.json").read_text())


def test_all_recorded_answers_are_there() -> None:
    assert (len(LIBVIRT_9), len(LIBVIRT_7), len(MATCHES)) == (57, 57, 25)


@pytest.mark.parametrize("vector", LIBVIRT_9, ids=lambda vector: ascii(vector["input"]))
def test_readback_understands_what_libvirt_accepts(vector: dict[str, Any]) -> None:
    text = vector["input"]
    if not vector["ok"]:
        with pytest.raises(InvalidFilter) as caught:
            parse_readback(text)
        assert caught.value.item in vector["error"] or "match string" in vector["error"]
        return
    filters = parse_readback(text)
    assert len(filters) == vector["count"]
    assert parse_readback(vector["readback"] or "") == filters
    assert parse_readback(canonical(filters)) == filters


@pytest.mark.parametrize("vectors", [LIBVIRT_7, LIBVIRT_9], ids=["7.0.0", "9.0.0"])
def test_what_may_be_written_means_the_same_to_all_versions(vectors: list[dict[str, Any]]) -> None:
    accepted = 0
    for vector in vectors:
        try:
            filters = parse_strict(vector["input"])
        except InvalidFilter:
            continue
        assert vector["ok"]
        assert parse_readback(vector["readback"] or "") == filters
        accepted += 1
    assert accepted == 19


@pytest.mark.parametrize("vector", MATCHES, ids=lambda vector: ascii(vector["filters"]))
def test_effective_level(vector: dict[str, Any]) -> None:
    filters = parse_readback(vector["filters"])
    assert effective(filters, vector["category"], vector["default"]) == vector["effective"]


def test_parse_strict() -> None:
    assert parse_strict("") == ()
    assert parse_strict("1:qemu 4:util.j?on") == (
        Filter(Level.DEBUG, "qemu"),
        Filter(Level.ERROR, "util.j?on"),
    )


@pytest.mark.parametrize(
    ("text", "item", "number", "offset", "rule"),
    [
        ("1:qemu 5:foo", "5:foo", 2, 7, "the level must be 1 (debug)"),
        ("+1:foo", "+1:foo", 1, 0, "the level must be"),
        ("01:foo", "01:foo", 1, 0, "the level must be"),
        ("debug:foo", "debug:foo", 1, 0, "the level must be"),
        ("\t1:foo", "\t1:foo", 1, 0, "the level must be"),
        ("²:foo", "²:foo", 1, 0, "the level must be"),
        (":foo", ":foo", 1, 0, "the level must be"),
        ("1:a 2:b qemu", "qemu", 3, 8, "a filter is LEVEL:PATTERN"),
        ("1:", "1:", 1, 0, "the pattern behind the colon is empty"),
        ("1:+foo", "1:+foo", 1, 0, "'+' is none of them"),
        ("1:foo\t2:bar", "1:foo\t2:bar", 1, 0, "'\\t' is none of them"),
        ("1:foo\n", "1:foo\n", 1, 0, "'\\n' is none of them"),
        ("1:a:b", "1:a:b", 1, 0, "':' is none of them"),
        ("1:foo,2:bar", "1:foo,2:bar", 1, 0, "',' is none of them"),
        ("1:[q]emu", "1:[q]emu", 1, 0, "'[' is none of them"),
        ('1:"q', '1:"q', 1, 0, "'\"' is none of them"),
        ("1:é", "1:é", 1, 0, "'\\xe9' is none of them"),
        ("1:\0", "1:\0", 1, 0, "'\\x00' is none of them"),
        ("1:\udcff", "1:\udcff", 1, 0, "'\\udcff' is none of them"),
        (" 1:foo", "", 1, 0, "exactly one blank"),
        ("1:foo ", "", 2, 6, "exactly one blank"),
        ("1:foo  2:bar", "", 2, 6, "exactly one blank"),
        ("   ", "", 1, 0, "exactly one blank"),
    ],
)
def test_a_bad_filter_is_named_with_its_place_and_rule(
    text: str, item: str, number: int, offset: int, rule: str
) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_strict(text)
    error = caught.value
    assert (error.item, error.number, error.offset) == (item, number, offset)
    assert rule in error.rule
    assert str(error).startswith(f"filter {number}, {item!a}, at character {offset + 1}: ")
    assert str(error).isascii()
    assert str(error).isprintable()


def test_a_megabyte_is_refused_at_once() -> None:
    for text in ("1:qemu " * 150_000, "x" * 10**6, " " * 10**6, "1:" + "é" * 10**6):
        started = time.process_time()
        with pytest.raises(InvalidFilter) as caught:
            parse_strict(text)
        assert time.process_time() - started < 0.01
        assert str(caught.value) == (
            f"the filters: the text has {len(text)} characters, and 16384 are the most that is"
            " taken"
        )
        assert (caught.value.item, caught.value.number) == ("", 0)
    with pytest.raises(InvalidFilter, match="262144 are the most"):
        parse_readback("x" * (MAX_READBACK + 1))


def test_a_long_item_is_shown_in_part() -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_strict("9:" + "x" * (MAX_TEXT - 2))
    assert len(str(caught.value)) < 200
    assert "xxx...'" in str(caught.value)


def test_too_many_filters_are_refused() -> None:
    most = " ".join(["1:a"] * MAX_FILTERS)
    assert len(parse_strict(most)) == MAX_FILTERS
    with pytest.raises(InvalidFilter, match="200 filters are the most") as caught:
        parse_strict(most + " 1:b")
    assert (caught.value.item, caught.value.number) == ("1:b", MAX_FILTERS + 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("1:*qemu* 3:*remote* ", "1:qemu 3:remote"),
        ("1:**qemu** ", "1:qemu"),
        ("1:*** ", "1:*"),
        ("1:*", "1:*"),
        ("1:a**b", "1:a*b"),
        ("1:+*foo* ", "1:foo"),  # as reported before 5.9.0, with the flag for stack traces
        ("1:+foo", "1:foo"),
        ("1:*+foo* ", "1:*+foo"),  # without its star the "+" would be lost
        ("+01:foo  \t2:bar:x", "1:foo 2:bar"),
    ],
)
def test_canonical_form_of_what_is_read_back(text: str, expected: str) -> None:
    filters = parse_readback(text)
    assert canonical(filters) == expected
    assert parse_readback(expected) == filters


@pytest.mark.parametrize("text", ["\x1c1:a", "\xa01:a", "\x851:a", "\u0661:a", "1\t:a", "++1:a"])
def test_only_what_strtoul_reads_is_a_level(text: str) -> None:
    with pytest.raises(InvalidFilter, match="the level must be a number from 1 to 4"):
        parse_readback(text)


def test_what_was_set_equals_what_is_read_back() -> None:
    assert parse_strict("1:*qemu* 3:**") == parse_readback("1:**qemu** 3:**** ")


@pytest.mark.parametrize(
    ("pattern", "category", "expected"),
    [
        ("qemu", "libvirt-qemu", True),
        ("*", "", True),
        ("?", "", False),
        ("a?c", "xabcx", True),
        ("a?c", "xacx", False),
        ("a?c", "a\nc", True),
        ("?a", "a", False),
        ("a*b*a", "aba", True),
        ("a*b*a", "ab", False),
        ("ab*ab", "aba", False),
        ("a*?", "a", False),
        ("[ab]", "a", False),
        ("JSON", "util.json", False),
    ],
)
def test_matches(pattern: str, category: str, expected: bool) -> None:
    assert matches(normal(pattern), category) is expected


@pytest.mark.parametrize(
    ("general", "special", "expected"),
    [
        ("*", "qemu", True),
        ("qemu", "qemu.qemu_monitor", True),
        ("qemu", "qemu", True),
        ("qemu.qemu_monitor", "qemu", False),
        ("a?c", "abc", True),
        ("abc", "a?c", False),
        ("a?c", "a?c", True),
        ("a?c", "a*c", False),
        ("a*c", "a*b*c", True),
        ("a*c", "a?c", True),
        ("ab", "a*b", False),
        ("?", "*", False),
        ("a*b", "b*a", False),
    ],
)
def test_covers(general: str, special: str, expected: bool) -> None:
    assert covers(general, special) is expected


def test_many_stars_take_no_longer_than_few() -> None:
    started = time.process_time()
    assert not matches("a*" * 5000 + "b", "a" * 5000)
    assert not matches("?a" * 20 + "*b", "a" * 200)
    assert time.process_time() - started < 1

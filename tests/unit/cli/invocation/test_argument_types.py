# SPDX-License-Identifier: LGPL-2.1-or-later
"""The values that arguments accept."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from nestd.cli.invocation import argument_types as types


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert types.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("5", 5), ("1k", 1024), ("1K", 1024), ("500M", 500 << 20), ("2G", 2 << 30)]
)
def test_sizes(text: str, count: int) -> None:
    assert types.byte_count(text) == count


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((types.duration, text) for text in ("", "0", "-1", "1.5h", "m", "1h x", "4294967296")),
        *((types.byte_count, text) for text in ("", "0", "1.5G", "G", "5X", "5m", "9999999T")),
        *((types.job_number, text) for text in ("", "0", "-1", "4294967296", "\u0665")),
        *((types.assignment, text) for text in ("", "=", "=x", "nested")),
    ],
)
def test_words_that_are_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        parse(text)


def test_an_assignment_may_have_an_empty_value_and_further_equals_signs() -> None:
    assert types.assignment("nested=") == ("nested", "")
    assert types.assignment("a=b=c") == ("a", "b=c")


@pytest.mark.parametrize(
    ("text", "answer"),
    [("20s", True), ("1h30m", True), ("90", False), ("qemu", False)],
)
def test_a_time_is_told_from_a_name(text: str, answer: bool) -> None:
    assert types.is_duration(text) is answer

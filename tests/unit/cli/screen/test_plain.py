# SPDX-License-Identifier: LGPL-2.1-or-later
"""Elements as lines for pipes."""

from __future__ import annotations

import pytest

from nestd.cli.screen import plain
from nestd.cli.screen.elements import columns, commands, details, fields, indented, reworded, styled


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("web1", 4),
        ("дб", 2),
        ("数据库", 6),
        ("e\u0301", 1),
        ("\u200bx", 1),
        ("\uff57\uff45\uff42", 6),
        ("", 0),
    ],
)
def test_the_columns_that_a_text_takes(text: str, width: int) -> None:
    assert plain.width(text) == width


def test_columns_are_straight_under_names_of_any_script() -> None:
    rows = [("数据库", "1"), ("web1", "22"), ("e\u0301", "333")]
    assert plain.lines(columns(["NAME", "PID"], rows)) == [
        "NAME    PID",
        "数据库  1",
        "web1    22",
        "e\u0301       333",
    ]


def test_no_line_is_padded_or_wrapped() -> None:
    long = "x" * 500
    rows = [("Host", ""), ("Modules", long)]
    assert plain.lines(fields(rows)) == [
        "  Host",
        f"  Modules  {long}",
    ]
    assert plain.lines(columns(["A"], [])) == ["A"]
    assert plain.lines(fields([])) == []


def test_details_are_set_off() -> None:
    found = plain.lines(details([(styled("warn"), ["What is the case.", "What to do."])]))
    assert found == ["warn  What is the case.", "        What to do."]


def test_remarks_are_remarks_of_a_shell_too() -> None:
    found = plain.lines(commands([("nestctl x", "one"), ("nestctl longer", "two")]))
    assert found == ["  nestctl x        # one", "  nestctl longer   # two"]


def test_control_characters_go_no_further() -> None:
    assert plain.lines(indented("a\x1b[31m\nb")) == ["  a?[31m?b"]


def test_other_words_reach_each_element_but_no_names() -> None:
    upper = str.upper
    assert plain.lines(reworded(styled("a", ("b", "bold")), upper)) == ["AB"]
    assert plain.lines(reworded(indented("a"), upper)) == ["  A"]
    assert plain.lines(reworded(fields([("Name", "a")]), upper)) == ["  Name  A"]
    assert plain.lines(reworded(columns(["T"], [["a"]]), upper)) == ["T", "a"]


def test_remarks_that_make_a_line_too_long_stand_above() -> None:
    again = "/opt/nestd/bin/python -m nestd.cli nested off"
    choices = [(f"{again} --when-idle", "done automatically when these have ended"), (again, "")]
    assert plain.lines(commands(choices)) == [
        "  # done automatically when these have ended",
        f"  {again} --when-idle",
        f"  {again}",
    ]

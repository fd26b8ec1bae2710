# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metrics as text, in both formats."""

from __future__ import annotations

import pytest

from nestd.formats.openmetrics import Family, Kind, Sample, openmetrics, textfile

FAMILIES = [
    Family("nestd_machines", "Machines that run.", [Sample(3)]),
    Family("nestd_results", "Reloads.", [Sample(2, {"kind": "reload"})], Kind.COUNTER),
    Family("nestd_empty", "Nothing.", []),
]


def test_openmetrics_names_a_counter_without_total_and_ends_with_eof() -> None:
    assert openmetrics(FAMILIES).splitlines() == [
        "# HELP nestd_machines Machines that run.",
        "# TYPE nestd_machines gauge",
        "nestd_machines 3",
        "# HELP nestd_results Reloads.",
        "# TYPE nestd_results counter",
        'nestd_results_total{kind="reload"} 2',
        "# EOF",
    ]


def test_a_textfile_names_it_with_total_and_has_no_end() -> None:
    lines = textfile(FAMILIES).splitlines()
    assert lines[3:] == [
        "# HELP nestd_results_total Reloads.",
        "# TYPE nestd_results_total counter",
        'nestd_results_total{kind="reload"} 2',
    ]


def test_labels_of_others_are_escaped() -> None:
    family = Family("nestd_x", "X.", [Sample(1, {"name": 'a"b\\c\nd', "other": "e"})])
    assert 'nestd_x{name="a\\"b\\\\c\\nd",other="e"} 1\n' in textfile([family])


@pytest.mark.parametrize("name", ["", "Nestd", "1x", "nestd-x", "nestd_x_total", 'a{b="c"}'])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Family(name, "X.", [])


@pytest.mark.parametrize("text", ["", "a\nb", 'a "b"', "a\\b"])
def test_texts_that_the_formats_escape_differently(text: str) -> None:
    with pytest.raises(ValueError, match="HELP"):
        Family("nestd_x", text, [])

# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl's command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest
from run_nestctl import Result, nestctl

from nestd import __version__
from nestd.cli import arguments
from nestd.cli.invocation import parser as parsing
from nestd.cli.screen import words

NOWHERE = "unix:path=/nonexistent/bus"


def run(*given: str) -> Result:
    return nestctl(NOWHERE, *given)


def test_version_and_help_need_no_service() -> None:
    assert run("--version").out == f"nestctl {__version__}\n"
    result = run("--help")
    assert result.code == 0
    assert all(len(line) <= 80 for line in result.out.splitlines())


def test_the_help_names_every_command() -> None:
    listed = {name for _, names in arguments.SECTIONS for name in names}
    parser = arguments.make_parser()
    found = set()
    for name, each in arguments.subcommands(parser).items():
        inner = arguments.subcommands(each)
        found |= {f"{name} {word}" for word in inner} if inner else {name}
    assert listed == found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nsted"], "nestctl: There is no command 'nsted'. Is nested meant?"),
        (["frobnicate"], "nestctl: There is no command 'frobnicate'."),
        (["log", "shw"], "nestctl log: There is no command 'shw'. Is show meant?"),
        (["nested"], "nestctl nested: the following arguments are required: value"),
        (["nested", "on", "--now", "--at-boot"], "not allowed with argument --now"),
        (["set", "kvm", "=1"], "'=1' is not of the form PARAM=VALUE"),
        (["cancel", "x"], "'x' is no number of a job"),
        (["cancel", str(1 << 32)], "is no number of a job"),
        (["log", "debug", "--for", "soon"], "'soon' is no time such as 90s, 10m or 1h30m"),
        (["--root", "/", "status"], "nestctl: --root goes with --standalone or --simulate"),
        (["--standalone", "--root", "/no", "status"], "--root: /no is no directory"),
        (["--simulate", "amd", "--stand", "status"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_told_with_the_way_to_help(given: list[str], said: str) -> None:
    result = run(*given)
    assert result.code == 2
    assert said in result.err
    assert result.err.splitlines()[-1].startswith("See: nestctl ")
    assert result.out == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parsing.duration(text) == seconds


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parsing.duration, text) for text in ("", "0", "-1", "1.5h", "m", "1h x", "4294967296")),
        *((parsing.byte_count, text) for text in ("", "0", "1.5G", "G", "5X", "9999999T")),
        *((parsing.job_number, text) for text in ("", "0", "-1", "4294967296", "\u0665")),
        *((parsing.assignment, text) for text in ("", "=", "=x", "nested")),
    ],
)
def test_words_that_are_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        parse(text)


def test_an_assignment_may_have_an_empty_value_and_further_equals_signs() -> None:
    assert parsing.assignment("nested=") == ("nested", "")
    assert parsing.assignment("a=b=c") == ("a", "b=c")


def test_sizes_and_times_in_words() -> None:
    assert [words.size(count) for count in (0, 999, 1500, 2_500_000, 3_000_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2.5 MB",
        "3.0 GB",
    ]
    assert [words.duration(each) for each in (-1, 5, 65, 3600, 3725.4)] == [
        "0:00",
        "0:05",
        "1:05",
        "1:00:00",
        "1:02:05",
    ]

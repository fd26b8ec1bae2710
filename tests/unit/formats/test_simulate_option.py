# SPDX-License-Identifier: LGPL-2.1-or-later
"""--simulate for argparse: a Simulation, a one-sentence error, or the listing."""

from __future__ import annotations

from argparse import ArgumentParser

import pytest

from nestd.formats.simulate_option import ListingRequested, SimulateOption
from nestd.formats.simulation import Simulation, listing


def parse(value: str) -> object:
    parser = ArgumentParser(prog="program")
    parser.add_argument("--simulate", action=SimulateOption)
    return parser.parse_args(["--simulate", value]).simulate


def test_a_kind_and_its_situations() -> None:
    assert parse("amd,guests=2") == Simulation("amd", {"guests": "2"})


def test_a_wrong_one_is_an_error_of_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("vax")
    assert caught.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("program: error: --simulate: There is no kind 'vax'")


def test_help_prints_nothing_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ListingRequested) as caught:
        parse("help")
    assert str(caught.value) == listing()
    assert capsys.readouterr() == ("", "")

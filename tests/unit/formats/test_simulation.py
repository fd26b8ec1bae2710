# SPDX-License-Identifier: LGPL-2.1-or-later
"""The argument of --simulate: kinds and situations, and the errors for other values."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestd.formats.simulation import KINDS, SITUATIONS, listing, parse

MANUAL = Path(__file__).parents[3] / "packaging/man/nestd.8"


def test_a_kind_and_its_situations() -> None:
    plain, rich = parse("amd"), parse("intel,guests=3, overridden,guest-of=hyperv")
    assert (plain.kind, plain.guests, str(plain)) == ("amd", 0, "amd")
    assert (rich.kind, rich.guests) == ("intel", 3)
    assert "overridden" in rich
    assert "slow" not in rich
    assert str(rich) == "intel,guests=3,overridden,guest-of=hyperv"
    assert parse(str(rich)) == rich


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("vax", "There is no kind 'vax' of simulated host. There are: intel, amd, "),
        ("", "There is no kind ''"),
        ("intel,", "There is no situation ''. There are: guests, overridden, "),
        ("intel,burning", "There is no situation 'burning'."),
        ("intel,guests", "The situation is written guests=N."),
        ("intel,slow=1", "The situation is written slow."),
        ("intel,guests=many", "guests='many': the number of guests goes from 0 to 1000."),
        ("intel,guests=-1", "guests='-1': the number"),
        ("intel,guests=9999999999", "guests='9999999999': the number"),
        ("intel,gicv2", "The situation gicv2 is one of arm64 alone."),
        ("intel,guest-of=bochs", "There is no hypervisor 'bochs'. There are: azure, "),
    ],
)
def test_what_is_not_known_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="^" + complaint.replace(".", r"\.")):
        parse(text)


def test_the_list_fits_a_terminal_and_has_everything() -> None:
    lines = listing().splitlines()
    assert max(map(len, lines)) < 80
    words = {line.split()[0].partition("=")[0] for line in lines if line.startswith("  ")}
    assert words >= set(KINDS) | set(SITUATIONS)


def test_the_manual_has_everything() -> None:
    text = MANUAL.read_text().replace("\\-", "-")
    for name in (*KINDS, *SITUATIONS):
        assert name in text

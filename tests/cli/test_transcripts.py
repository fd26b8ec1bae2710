# SPDX-License-Identifier: LGPL-2.1-or-later
"""The exact output of nestctl on a simulated host of each kind and in each situation.

A transcript's name is the argument of --simulate. See transcript.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import transcript
from private_bus import PrivateBus
from running_nestd import running_nestd

from nestd.formats import simulation

GOLDEN = Path(__file__).parent / "golden"


HOSTS = sorted(path.stem for path in GOLDEN.glob("*.txt"))


def test_each_kind_of_host_and_each_situation_has_a_transcript() -> None:
    seen = [simulation.parse(host) for host in HOSTS]
    assert {each.kind for each in seen if not each.situations} == set(simulation.KINDS)
    assert {name for each in seen for name in each.situations} == set(simulation.SITUATIONS)


@pytest.mark.parametrize("host", HOSTS)
def test_output_is_as_in_the_transcript(host: str, bus: PrivateBus, tmp_path: Path) -> None:
    path = GOLDEN / f"{host}.txt"
    expected = transcript.read(path)
    with running_nestd(bus.address, tmp_path, "--simulate", host) as nestd:
        found = transcript.replay(nestd, expected)
    if os.environ.get("NESTD_UPDATE_GOLDEN"):
        path.write_text("".join(map(str, found)))
    for one, other in zip(found, expected):
        assert str(one) == str(other)


def test_no_line_of_the_transcripts_is_padded_and_no_word_is_a_traceback() -> None:
    for path in GOLDEN.glob("*.txt"):
        for line in path.read_text().splitlines():
            # A line of a diff may consist of its marker only.
            assert line == " " or line == line.rstrip()
            assert "Traceback" not in line

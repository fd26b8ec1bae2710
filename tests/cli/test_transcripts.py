# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nestctl prints on a simulated host of each kind, to the letter; see transcript.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import transcript
from private_bus import PrivateBus
from running_nestd import running_nestd

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("kind", ["intel", "amd", "power", "s390", "arm64"])
def test_output_is_as_in_the_transcript(kind: str, bus: PrivateBus, tmp_path: Path) -> None:
    path = GOLDEN / f"{kind}.txt"
    expected = transcript.read(path)
    with running_nestd(bus.address, tmp_path, "--simulate", kind) as nestd:
        found = transcript.replay(nestd, expected)
    if os.environ.get("NESTD_UPDATE_GOLDEN"):
        path.write_text("".join(map(str, found)))
    for one, other in zip(found, expected):
        assert str(one) == str(other)


def test_no_line_of_the_transcripts_is_padded_and_no_word_is_a_traceback() -> None:
    for path in GOLDEN.glob("*.txt"):
        for line in path.read_text().splitlines():
            # A line of a diff may be nothing but its mark.
            assert line == " " or line == line.rstrip()
            assert "Traceback" not in line

# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl describe: the document alone, and with the output of other commands."""

from __future__ import annotations

import json

import pytest
from run_nestctl import nestctl
from running_nestd import Nestd

COMMANDS = {"checks": "validate", "guests": "guests", "posture": "posture"}


def _document(nestd: Nestd, *words: str) -> dict[str, object]:
    result = nestctl(nestd.address, *words)
    assert result.err == ""
    document: dict[str, object] = json.loads(result.out)
    return document


def test_each_part_is_what_its_command_prints(intel: Nestd) -> None:
    intel.start_machine("web01")
    found = _document(intel, "describe", *(f"--with={part}" for part in COMMANDS))
    alone = {part: _document(intel, command, "--json") for part, command in COMMANDS.items()}
    assert found.pop("host") == _document(intel, "describe")
    assert found.pop("nested") == _document(intel, "status", "--json")["nested"]
    assert found.pop("posture") == alone["posture"]["findings"]
    assert found == {**alone["checks"], **alone["guests"]}


@pytest.mark.parametrize("part", COMMANDS)
def test_what_was_not_asked_for_is_left_out(intel: Nestd, part: str) -> None:
    keys = {"checks": {"ready", "findings"}}.get(part, {part})
    assert set(_document(intel, "describe", "--with", part)) == {"host", "nested", *keys}


def test_a_finding_that_fails_is_no_failure_of_it(intel: Nestd) -> None:
    (intel.root / "etc/modprobe.d/zz.conf").write_text("options kvm_intel nested=enable\n")
    result = nestctl(intel.address, "describe", "--with", "checks")
    assert (result.code, json.loads(result.out)["ready"]) == (0, False)

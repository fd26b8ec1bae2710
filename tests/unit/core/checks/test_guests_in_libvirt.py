# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's schema and virsh accept the guests, and the XML that the hints lead to."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from checked_guests import GUESTS, expected, report
from follow_hint import follow
from situations import make_situation

from nestd.core.checks.finding import Verdict

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
CASES = Path(__file__).resolve().parents[3] / "cases"
# Cases with a guest, and whether libvirt accepts its XML unchanged.
OF_GUESTS = {"30": True, "32": False, "35": True, "36": True, "39": True, "55": True, "96": True}


def define(text: str, directory: Path) -> tuple[int, str]:
    """Exit code and output of `virsh define --validate` with libvirt's test driver."""
    file = directory / "guest.xml"
    file.write_text(re.sub(r"type=(['\"])(?:kvm|qemu)\1", "type='test'", text))
    virsh = ["virsh", "-c", "test:///default", "define", "--validate", str(file)]
    done = subprocess.run(virsh, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.libvirt
@pytest.mark.needs("xmllint")
@pytest.mark.parametrize(
    "guest", [guest for guest in GUESTS if expected(guest).get("schema") != "later"]
)
def test_the_guests_are_what_libvirt_means(guest: str) -> None:
    command = ["xmllint", "--noout", "--relaxng", str(SCHEMA), str(GUESTS[guest])]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert (done.returncode == 0) == ("schema" not in expected(guest)), done.stderr


@pytest.mark.libvirt
@pytest.mark.needs("virsh")
@pytest.mark.parametrize("number", OF_GUESTS)
def test_virsh_takes_what_the_hints_lead_to(number: str, tmp_path: Path) -> None:
    [case] = CASES.glob(f"{number}-*")
    text = (case / "guest.xml").read_text()
    host = make_situation(tmp_path, (case / "kind").read_text().strip())
    code, words = define(text, tmp_path)
    assert (code == 0) == OF_GUESTS[number], words
    found = report(text, host)
    assert found.ready == (number == "35")
    for finding in found.findings:
        if finding.verdict is Verdict.FAIL:
            text = follow(finding.hint, text)
    assert report(text, host).ready
    code, words = define(text, tmp_path)
    assert code == 0, words

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guests of tests/unit/guests, and what Manager.CheckGuest reports about a guest.

The first line of each file in guests/ names the host and the expected report: "ready", and verdicts
by id; every warning and failure is listed. "schema: no" marks XML that libvirt's schema does not
allow, "schema: later" XML that the schema of libvirt 9.0 does not know yet.
"""

from __future__ import annotations

import re
from pathlib import Path

from nestd.core.checks.finding import Verdict
from nestd.core.checks.guest.check_guest import GuestReport, check_guest, read_domain
from nestd.core.checks.situation import Situation

GUESTS = {path.stem: path for path in sorted((Path(__file__).parents[2] / "guests").glob("*.xml"))}
MINIMAL = "<domain type='kvm'><os><type>hvm</type></os><cpu mode='host-passthrough'/></domain>"


def expected(guest: str) -> dict[str, str]:
    """The words of the first line of the guest's file."""
    first = GUESTS[guest].read_text().splitlines()[0]
    found = re.fullmatch(r"<!-- (.*) -->", first)
    assert found, first
    return dict(word.split(": ") for word in found.group(1).split("; "))


def report(text: str, host: Situation) -> GuestReport:
    found = check_guest(read_domain(text), host)
    ids = [finding.id for finding in found.findings]
    assert len(ids) == len(set(ids))
    for finding in found.findings:
        assert finding.summary.endswith("."), finding
        assert finding.summary.isprintable(), finding
        assert finding.hint or finding.verdict in (Verdict.PASS, Verdict.NOTE), finding
    return found

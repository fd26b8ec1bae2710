# SPDX-License-Identifier: LGPL-2.1-or-later
"""The known CVEs. A CVE counts as fixed only if the distribution's own data say so for this
kernel; version numbers prove nothing, since distributions backport fixes."""

from __future__ import annotations

from collections.abc import Sequence

from nestd.core.checks.finding import Finding, note, passed
from nestd.core.posture.known_cves import KnownCve, known_cves
from nestd.core.posture.standing import Standing


def known(standing: Standing) -> Sequence[Finding]:
    """One finding per CVE that concerns this kind of host, and the date of the list."""
    data = known_cves()
    found = [
        _one(cve, standing)
        for cve in data.cves
        if not standing.place or standing.place in cve.places
    ]
    return [*found, _date(data.date, standing)]


def _one(cve: KnownCve, standing: Standing) -> Finding:
    what = f"{cve.id} ({cve.about})"
    if cve.id in standing.fixes.cves:
        return passed(cve.id.lower(), f"{what}: fixed, says {standing.fixes.source}.")
    return note(
        cve.id.lower(),
        f"{what}: whether this kernel has the fix is not known.",
        f"Ask your distribution's security pages; the record: {cve.source}",
    )


def _date(date: str, standing: Standing) -> Finding:
    source = standing.fixes.source or "no data of this distribution's were found"
    return note(
        "cve-data",
        f"The known CVEs are those of {date}. What the running kernel has fixed: {source}.",
    )

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The known CVEs of nested KVM: known_cves.json, written by packaging/cves/refresh.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True)
class KnownCve:
    """One CVE. about is a clause; places are "intel", "amd", "power", "s390" and "arm64"."""

    id: str
    about: str
    places: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class KnownCves:
    """All CVEs known on a date (ISO 8601)."""

    date: str
    cves: tuple[KnownCve, ...]


@lru_cache(maxsize=1)
def known_cves() -> KnownCves:
    """Read the package's file."""
    file = resources.files("nestd.core.posture").joinpath("known_cves.json")
    found = json.loads(file.read_text("utf-8"))
    cves = tuple(
        KnownCve(each["id"], each["about"], tuple(each["on"]), each["source"])
        for each in found["cves"]
    )
    return KnownCves(found["date"], cves)

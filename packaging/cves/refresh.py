#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes nestd/core/posture/known_cves.json anew from CVE records; run it before a release.

    packaging/cves/refresh.py RECORD.json...

Each RECORD.json is a record as https://github.com/CVEProject/cvelistV5 has them (the kernel's are
also in https://git.kernel.org/pub/scm/linux/security/vulns.git). Nothing is fetched. Records that
are in the file already stay; those given replace them. A record is taken where its title or its
files are about nested KVM.
"""

from __future__ import annotations

import datetime
import json
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[2] / "nestd/core/posture/known_cves.json"
NESTED = re.compile(r"nested|nSVM|nVMX|vsie|shadow MMU|\bL2\b", re.IGNORECASE)
PLACES = (
    ("arm64", re.compile(r"arm64")),
    ("s390", re.compile(r"s390")),
    ("power", re.compile(r"powerpc|PPC")),
    ("amd", re.compile(r"\bn?SVM\b")),
    ("intel", re.compile(r"\bn?VMX\b")),
)


def entry(record: dict[str, Any]) -> dict[str, Any] | None:
    """What the file says of a CVE record, None where it is not about nested KVM."""
    number = record["cveMetadata"]["cveId"]
    title = record["containers"]["cna"].get("title", "")
    if not title.startswith("KVM") or not NESTED.search(title):
        return None
    places = [place for place, pattern in PLACES if pattern.search(title)] or ["intel", "amd"]
    about = title.partition(": ")[2]
    source = f"https://www.cve.org/CVERecord?id={number}"
    return {"id": number, "about": about, "on": places, "source": source}


def refreshed(text: str, records: list[dict[str, Any]], today: str) -> str:
    """The file's new text."""
    known = {each["id"]: each for each in json.loads(text)["cves"]}
    known.update({each["id"]: each for record in records if (each := entry(record))})
    lines = ",\n".join(f"  {json.dumps(known[number])}" for number in sorted(known))
    return f'{{\n "date": "{today}",\n "cves": [\n{lines}\n ]\n}}\n'


if __name__ == "__main__":
    given = [json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:]]
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    FILE.write_text(refreshed(FILE.read_text("utf-8"), given, today), "utf-8")

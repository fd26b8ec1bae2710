#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Updates nestd/core/posture/known_cves.json from CVE records; run it before a release.

    packaging/cves/refresh.py RECORD.json...

Each RECORD.json is a record in the format of https://github.com/CVEProject/cvelistV5 (the kernel's
are also in https://git.kernel.org/pub/scm/linux/security/vulns.git). Nothing is fetched. Existing
entries stay unless a given record replaces them; edit the "about" of a new entry to tell an
administrator what is wrong, because a record's title says what its fix does. A record is taken if
its title, text or files are about nested KVM, and removed if it has been rejected.
"""

from __future__ import annotations

import datetime
import json
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[2] / "nestd/core/posture/known_cves.json"
NESTED = re.compile(
    r"nested|nSVM|nVMX|nEPT|nNPT|vsie|shadow MMU|shadow paging|\bL2\b|_shadow_|\bnv\b",
    re.IGNORECASE,
)
# A fault in code shared by several kinds of hosts belongs to each of them.
PLACES = {
    "intel": re.compile(r"\bn?VMX\b|arch/x86/kvm/vmx/"),
    "amd": re.compile(r"\bn?SVM\b|arch/x86/kvm/svm/"),
    "arm64": re.compile(r"\barm64\b"),
    "power": re.compile(r"\bpowerpc\b|\bPPC\b"),
    "s390": re.compile(r"\bs390\b"),
}


def entry(record: dict[str, Any]) -> dict[str, Any] | None:
    """The file's entry for a CVE record; None if it is not about nested KVM."""
    number = record["cveMetadata"]["cveId"]
    about = record["containers"]["cna"]
    title = about.get("title", "")
    files = [name for each in about.get("affected", ()) for name in each.get("programFiles", ())]
    text = " ".join(each.get("value", "") for each in about.get("descriptions", ()))
    if not title.startswith("KVM") or not NESTED.search(" ".join((title, text, *files))):
        return None
    where = " ".join((title, *files))
    places = [place for place, pattern in PLACES.items() if pattern.search(where)]
    source = f"https://www.cve.org/CVERecord?id={number}"
    of_x86 = ["intel", "amd"]
    return {
        "id": number,
        "about": title.partition(": ")[2],
        "on": places or of_x86,
        "source": source,
    }


def refreshed(text: str, records: list[dict[str, Any]], today: str) -> str:
    """The file's new text."""
    known = {each["id"]: each for each in json.loads(text)["cves"]}
    for record in records:
        if record["cveMetadata"].get("state") == "REJECTED":
            known.pop(record["cveMetadata"]["cveId"], None)
        elif found := entry(record):
            known[found["id"]] = found
    lines = ",\n".join(f"  {json.dumps(known[number])}" for number in sorted(known))
    return f'{{\n "date": "{today}",\n "cves": [\n{lines}\n ]\n}}\n'


if __name__ == "__main__":
    given = [json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:]]
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    FILE.write_text(refreshed(FILE.read_text("utf-8"), given, today), "utf-8")

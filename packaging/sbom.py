#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes nestd's components as an SPDX 2.3 document.

    packaging/sbom.py FILE...     prints it with these files of a release and their checksums

It lists nestd's own source, its requirements (versions are in pyproject.toml) and bundled packages:
dbus-next in the RPM for RHEL, npm packages in Cockpit's page (package-lock.json).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import build  # noqa: E402

LICENCE = "LGPL-2.1-or-later"
# From their licence files; of these only dbus-next is distributed with nestd.
LICENCES = {
    "configobj": "BSD-3-Clause",
    "dbus-next": "MIT",
    "defusedxml": "PSF-2.0",
    "pyudev": "LGPL-2.1-or-later",
    "rich": "MIT",
}
Json = dict[str, Any]


def document(files: list[Path]) -> Json:
    """The document for a release with these files."""
    own = _package("nestd", build.version(), LICENCE, "pkg:generic/nestd")
    own["primaryPackagePurpose"] = "APPLICATION"
    needed = [_package(name, "", LICENCES[name], f"pkg:pypi/{name}") for name in requirements()]
    bundled = _bundled_by_the_page()
    top = Path(os.path.commonpath([path.resolve().parent for path in files])) if files else HERE
    told = [_file(path, str(path.resolve().relative_to(top))) for path in files]
    created = datetime.fromtimestamp(build.epoch(), timezone.utc)
    names = "".join(sorted(each["checksums"][0]["checksumValue"] for each in told))
    digest = hashlib.sha256(f"{own['versionInfo']} {names}".encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"nestd-{own['versionInfo']}",
        # A URN, since there is nothing to fetch.
        "documentNamespace": f"urn:nestd:{own['versionInfo']}:{digest}",
        "creationInfo": {
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: nestd-packaging-sbom", "Organization: nestd developers"],
        },
        "packages": [own, *needed, *bundled],
        "files": told,
        "relationships": [
            _relation("SPDXRef-DOCUMENT", "DESCRIBES", own["SPDXID"]),
            *(_relation(own["SPDXID"], "DEPENDS_ON", each["SPDXID"]) for each in needed),
            *(_relation(own["SPDXID"], "CONTAINS", each["SPDXID"]) for each in bundled),
            *(_relation(each["SPDXID"], "GENERATED_FROM", own["SPDXID"]) for each in told),
        ],
    }


def requirements() -> list[str]:
    """The names of the packages that pyproject.toml requires to run nestd and nestctl."""
    text = (build.CHECKOUT / "pyproject.toml").read_text()
    found: list[str] = []
    for key in ("dependencies", "cli"):
        [items] = re.findall(rf"^{key} = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
        found += re.findall(r'"([\w-]+)', items)
    return found


def _bundled_by_the_page() -> list[Json]:
    """The npm packages that are part of the page, without build tools."""
    lock = json.loads((HERE / "cockpit" / "package-lock.json").read_text())
    wanted = {
        path.rpartition("node_modules/")[2]: entry
        for path, entry in lock["packages"].items()
        if path and not entry.get("dev") and not entry.get("optional")
    }
    return [
        _package(name, entry["version"], entry.get("license", "NOASSERTION"), f"pkg:npm/{name}")
        for name, entry in sorted(wanted.items())
    ]


def _package(name: str, version: str, licence: str, locator: str) -> Json:
    found: Json = {
        "name": name,
        "SPDXID": f"SPDXRef-Package-{_id(locator)}",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                # A purl encodes the "@" of an npm name.
                "referenceLocator": locator.replace("/@", "/%40")
                + (f"@{version}" if version else ""),
            }
        ],
    }
    if version:
        found["versionInfo"] = version
    return found


def _file(path: Path, name: str) -> Json:
    content = path.read_bytes()
    return {
        "fileName": f"./{name}",
        "SPDXID": f"SPDXRef-File-{_id(name)}",
        "checksums": [
            {"algorithm": "SHA256", "checksumValue": hashlib.sha256(content).hexdigest()},
            {"algorithm": "SHA1", "checksumValue": hashlib.sha1(content).hexdigest()},
        ],
        "licenseConcluded": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }


def _relation(one: str, kind: str, other: str) -> Json:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _id(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)


if __name__ == "__main__":
    print(json.dumps(document([Path(name) for name in sys.argv[1:]]), indent=2, sort_keys=True))

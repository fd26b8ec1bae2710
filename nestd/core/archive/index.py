# SPDX-License-Identifier: LGPL-2.1-or-later
"""INDEX.json of an archive: its contents, what was left out and why, and what was redacted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from nestd import __version__
from nestd.formats.redaction.rules import MARK
from nestd.host.collect.sources import NEVER

REDACTED = (
    "Passwords, pass phrases, tokens, tickets, cookies and secrets by their names: in command"
    " lines, JSON, XML, configuration files and addresses",
    "Arguments of set_password, expire_password and other commands that hold secrets, what is typed"
    " into guests, and what goes through their agents",
    "Data of QEMU's secret objects (LUKS, Ceph, iSCSI), base64 keys, private keys, password hashes",
    "What guests are given through fw_cfg and systemd's credentials, headers of HTTP",
)


@dataclass(frozen=True)
class Entry:
    """One file of the archive: its source, its size in the archive, and a text on missing parts."""

    name: str
    source: str
    size: int
    modified: int  # seconds since 1970
    cut: Sequence[str]
    redacted: Mapping[str, int]  # number of secrets by kind


@dataclass
class Index:
    """The index, which grows with the archive."""

    created: int  # seconds since 1970
    max_bytes: int
    entries: list[Entry] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # what, and why

    def leave_out(self, what: str, why: str) -> None:
        """Record that something a reader may expect is not in the archive."""
        self.left_out.append((what, why))

    def document(self) -> bytes:
        """The file's bytes."""
        total: Counter[str] = Counter()
        for entry in self.entries:
            total.update(entry.redacted)
        document = {
            "format": 1,
            "nestd": __version__,
            "created": _time(self.created),
            "max_bytes": self.max_bytes,
            "files": [_entry(entry) for entry in self.entries],
            "left_out": [{"source": what, "why": why} for what, why in self.left_out],
            "redaction": {
                "mark": MARK.decode(),
                "what": REDACTED,
                "count": sum(total.values()),
                "by_kind": dict(sorted(total.items())),
            },
            "never_included": NEVER,
            "note": "Host names, names of machines, paths and addresses are not removed.",
        }
        return json.dumps(document, indent=2).encode() + b"\n"


def _entry(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "source": entry.source,
        "bytes": entry.size,
        "modified": _time(entry.modified),
        "cut": list(entry.cut),
        "redacted": dict(sorted(entry.redacted.items())),
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

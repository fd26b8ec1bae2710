# SPDX-License-Identifier: LGPL-2.1-or-later
"""One event of the history, and its stored form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

LONGEST_TEXT = 500  # characters of a request and of an error


class Kind(Enum):
    """The kind of event; the values are those of the D-Bus interface."""

    CHANGE = "change"
    RELOAD = "reload"
    LOGS = "logs"
    DEBUG = "debug"
    FOREIGN = "foreign"  # somebody else changed a value, a file or a module


class Result(Enum):
    """The event's result."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    ROLLED_BACK = "rolled-back"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Undo:
    """The values replaced by a change in a file ("" for none), and the file's digest after it."""

    before: Mapping[str, str]
    file: str
    digest: str


@dataclass(frozen=True)
class Entry:
    """One event; time is in microseconds of CLOCK_REALTIME, uid is None if unknown."""

    time: int
    kind: Kind
    subject: str
    result: Result
    uid: int | None = None
    asked: str = ""
    error: str = ""
    undo: Undo | None = None

    def as_json(self) -> dict[str, object]:
        """The stored form."""
        undo = self.undo
        return {
            "time": self.time,
            "kind": self.kind.value,
            "subject": self.subject,
            "result": self.result.value,
            "uid": self.uid,
            "asked": self.asked,
            "error": self.error,
            "undo": undo
            and {"before": dict(undo.before), "file": undo.file, "digest": undo.digest},
        }


def from_json(document: Mapping[str, Any]) -> Entry:
    """Parse the stored form. Raises ValueError, KeyError or TypeError if it is not an entry."""
    undo = document["undo"]
    uid = document["uid"]
    return Entry(
        time=_number(document["time"], 64),
        kind=Kind(document["kind"]),
        subject=str(document["subject"]),
        result=Result(document["result"]),
        uid=None if uid is None else _number(uid, 32),
        asked=str(document["asked"]),
        error=str(document["error"]),
        undo=None if undo is None else _undo(undo),
    )


def digest(data: bytes | None) -> str:
    """The digest of a file's bytes; "" for a file that does not exist."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def cut(text: str) -> str:
    """TEXT, cut to the stored length."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."


def _undo(document: Mapping[str, Any]) -> Undo:
    before = {str(name): str(value) for name, value in dict(document["before"]).items()}
    return Undo(MappingProxyType(before), str(document["file"]), str(document["digest"]))


def _number(number: object, bits: int) -> int:
    """NUMBER if it is an unsigned integer of at most BITS bits. Raises ValueError."""
    if not isinstance(number, int) or not 0 <= number < 1 << bits:
        raise ValueError(number)
    return number

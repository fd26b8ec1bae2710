# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a reload is about to do, written down first so that a crash cannot halve it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nestd.core.model import JobState, When
from nestd.host.files import Replacement

FORMAT = 1
_RUNNING = (JobState.WAITING, JobState.UNLOADING, JobState.LOADING, JobState.ROLLING_BACK)
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class DamagedRecord(Exception):
    """The bytes are no record of a transaction; the text says why."""


@dataclass(frozen=True)
class Transaction:
    """One reload: the job, who asked, what is wanted, what ran before, the file's change."""

    job: int
    module: str
    uid: int
    when: When  # NOW or IDLE
    step: JobState  # what really happened is read from the host
    wanted: Mapping[str, str]  # parameters to verify after the load
    before: Mapping[str, str]  # parameters as they ran
    replacement: Replacement | None
    since: int = 0  # when the job was asked for, microseconds of CLOCK_REALTIME; 0: not known

    def at(self, step: JobState) -> Transaction:
        """The same transaction at STEP."""
        return replace(self, step=step)

    def encode(self, boot_id: str) -> bytes:
        """The record, as JSON; BOOT_ID tells a later start whether it still means this boot."""
        document = {
            "format": FORMAT,
            "boot_id": boot_id,
            "job": self.job,
            "module": self.module,
            "uid": self.uid,
            "since": self.since,
            "when": self.when.value,
            "step": self.step.value,
            "wanted": dict(self.wanted),
            "before": dict(self.before),
            "replacement": self.replacement and _encode_replacement(self.replacement),
        }
        return json.dumps(document, indent=1).encode()


def decode(record: bytes, boot_id: str) -> Transaction:
    """Read a record back. Raises DamagedRecord, also for one of another boot or format."""
    try:
        document = json.loads(record)
        if document["format"] != FORMAT:
            raise DamagedRecord(f"it has format {document['format']!r}, not {FORMAT}")
        if document["boot_id"] != boot_id:
            raise DamagedRecord("it is of another boot")
        replacement = document["replacement"]
        step = JobState(document["step"])
        if step not in _RUNNING:
            raise DamagedRecord(f"{step.value} is no step of a transaction")
        return Transaction(
            job=_unsigned(document["job"]),
            module=str(document["module"]),
            uid=_unsigned(document["uid"]),
            when=When(document["when"]),
            step=step,
            wanted=_strings(document["wanted"]),
            before=_strings(document["before"]),
            replacement=None if replacement is None else _decode_replacement(replacement),
            since=_time(document.get("since", 0)),
        )
    except _UNREADABLE as error:
        raise DamagedRecord(f"it does not read as a record: {error!r}") from error


def _encode_replacement(replacement: Replacement) -> dict[str, str | None]:
    return {
        "target": str(replacement.target),
        "temporary": str(replacement.temporary),
        "backup": str(replacement.backup),
        "data": base64.b64encode(replacement.data).decode(),
        "expected": None
        if replacement.expected is None
        else base64.b64encode(replacement.expected).decode(),
    }


def _decode_replacement(document: dict[str, Any]) -> Replacement:
    expected = document["expected"]
    return Replacement(
        target=Path(document["target"]),
        temporary=Path(document["temporary"]),
        backup=Path(document["backup"]),
        data=base64.b64decode(document["data"], validate=True),
        expected=None if expected is None else base64.b64decode(expected, validate=True),
    )


def _strings(document: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in document.items()}


def _time(number: object) -> int:
    """As D-Bus has it: a "t"."""
    if not isinstance(number, int) or not 0 <= number < 1 << 64:
        raise ValueError(number)
    return number


def _unsigned(number: object) -> int:
    """As D-Bus has it: a "u"."""
    if not isinstance(number, int) or not 0 <= number < 1 << 32:
        raise ValueError(number)
    return number

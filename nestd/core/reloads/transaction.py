# SPDX-License-Identifier: LGPL-2.1-or-later
"""The record of a reload, written before the first step so that no crash leaves it half done."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from nestd.core.model import JobState, When
from nestd.core.reloads.jobs import now
from nestd.host.editing.replacement import Replacement

FORMAT = 1
_RUNNING = (JobState.WAITING, JobState.UNLOADING, JobState.LOADING, JobState.ROLLING_BACK)
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class DamagedRecord(Exception):
    """The bytes are not a valid transaction record; the text says why."""


class Purpose(Enum):
    """The purpose of a transaction."""

    RELOAD = "reload"
    UNLOAD = "unload"
    LOAD = "load"
    FILE = "file"  # kvm.conf alone; recorded only if it failed and must be undone


@dataclass(frozen=True)
class Member:
    """One of the modules that a transaction unloads or loads."""

    module: str
    wanted: Mapping[str, str]  # parameters to verify after the load
    before: Mapping[str, str]  # the previous running values
    asked: bool = True  # requested; else included because of a requested one


@dataclass(frozen=True)
class Transaction:
    """One job: the caller, the wanted values, the previous values, the file's change.

    members are in loading order: those that others need come first, and are unloaded last.
    """

    job: int
    uid: int
    when: When
    step: JobState  # the real progress is read from the host
    members: tuple[Member, ...]
    replacement: Replacement | None
    module: str  # the requested member
    purpose: Purpose = Purpose.RELOAD
    since: int = field(default_factory=now)  # time of the request, as Job.since

    @property
    def asked(self) -> frozenset[str]:
        """The requested modules, without dependents."""
        return frozenset(member.module for member in self.members if member.asked)

    @property
    def modules(self) -> tuple[str, ...]:
        """The names of all members, in loading order."""
        return tuple(member.module for member in self.members)

    def at(self, step: JobState) -> Transaction:
        """The same transaction at STEP."""
        return replace(self, step=step)

    def without_values(self) -> Transaction:
        """The same modules, without values to verify and without the file."""
        members = tuple(replace(member, wanted={}, before={}) for member in self.members)
        return replace(self, members=members, replacement=None)

    def encode(self, boot_id: str) -> bytes:
        """Encode the record as JSON; BOOT_ID tells a later start whether it is from this boot."""
        own = next(member for member in self.members if member.module == self.module)
        document = {
            "format": FORMAT,
            "boot_id": boot_id,
            "job": self.job,
            "module": own.module,
            "uid": self.uid,
            "since": self.since,
            "when": self.when.value,
            "step": self.step.value,
            "wanted": dict(own.wanted),
            "before": dict(own.before),
            "replacement": self.replacement and _encode_replacement(self.replacement),
            # Since version 0.2.
            "purpose": self.purpose.value,
            "members": [
                {
                    "module": each.module,
                    "wanted": dict(each.wanted),
                    "before": dict(each.before),
                    "asked": each.asked,
                }
                for each in self.members
            ],
        }
        return json.dumps(document, indent=1).encode()


def decode(record: bytes, boot_id: str) -> Transaction:
    """Decode a record. Raises DamagedRecord, also for another boot or format."""
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
        members = tuple(map(_member, document.get("members", [document])))
        transaction = Transaction(
            job=_unsigned(document["job"]),
            uid=_unsigned(document["uid"]),
            when=When(document["when"]),
            step=step,
            members=members,
            replacement=None if replacement is None else _decode_replacement(replacement),
            module=str(document["module"]),
            purpose=Purpose(document.get("purpose", Purpose.RELOAD.value)),
            since=_time(document.get("since", now())),
        )
    except _UNREADABLE as error:
        raise DamagedRecord(f"it is not a valid record: {error!r}") from error
    if transaction.module not in transaction.modules:
        raise DamagedRecord(f"{transaction.module!r} is none of its modules")
    return transaction


def _member(document: dict[str, Any]) -> Member:
    return Member(
        module=str(document["module"]),
        wanted=_strings(document["wanted"]),
        before=_strings(document["before"]),
        asked=bool(document.get("asked", True)),
    )


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
    """NUMBER as a D-Bus "t". Raises ValueError."""
    if not isinstance(number, int) or not 0 <= number < 1 << 64:
        raise ValueError(number)
    return number


def _unsigned(number: object) -> int:
    """NUMBER as a D-Bus "u". Raises ValueError."""
    if not isinstance(number, int) or not 0 <= number < 1 << 32:
        raise ValueError(number)
    return number

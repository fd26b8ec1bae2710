# SPDX-License-Identifier: LGPL-2.1-or-later
"""The result of a check, written for administrators who are new to the subject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nestd.formats.printable import one_line


class Verdict(Enum):
    """The effect of a finding on nested virtualization."""

    PASS = "pass"  # as it should be
    NOTE = "note"  # information, nothing to do
    WARN = "warn"  # it works, at least for now, but with a problem
    FAIL = "fail"  # it does not work until this is fixed


@dataclass(frozen=True)
class Finding:
    """The result of one check. id is stable: scripts and frontends rely on it.

    summary is one sentence (two if needed), hint the next step, "" for none. An id occurs once in
    an answer. Create findings with the functions below, which make quoted file contents printable.
    """

    id: str
    verdict: Verdict
    summary: str
    hint: str = ""


def passed(id: str, summary: str) -> Finding:
    """A finding for something as it should be."""
    return Finding(id, Verdict.PASS, one_line(summary))


def note(id: str, summary: str, hint: str = "") -> Finding:
    """A finding for information."""
    return Finding(id, Verdict.NOTE, one_line(summary), hint)


def warn(id: str, summary: str, hint: str) -> Finding:
    """A finding for a problem that needs attention."""
    return Finding(id, Verdict.WARN, one_line(summary), hint)


def fail(id: str, summary: str, hint: str) -> Finding:
    """A finding for a problem that prevents nested virtualization."""
    return Finding(id, Verdict.FAIL, one_line(summary), hint)

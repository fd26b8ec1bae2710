# SPDX-License-Identifier: LGPL-2.1-or-later
"""A running virtual machine and what it has of nesting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nestd.core.model import Answer, Machine


class Nesting(Enum):
    """Whether a machine has run a guest of its own since its process began."""

    USED = "used"
    NOT_USED = "not-used"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Exposure:
    """Whether the processor has what a hypervisor needs: YES, NO or UNKNOWN; by: where that was
    read, or why it is unknown. One short clause."""

    answer: Answer
    by: str


@dataclass(frozen=True)
class Usage:
    """Whether it has run guests of its own. runs is the kernel's count of entries into them, 0
    where there is none; by as in Exposure."""

    nesting: Nesting
    runs: int
    by: str


@dataclass(frozen=True)
class Guest:
    """One machine."""

    machine: Machine
    exposure: Exposure
    usage: Usage

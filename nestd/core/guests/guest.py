# SPDX-License-Identifier: LGPL-2.1-or-later
"""A running virtual machine and its nesting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nestd.core.model import Answer, Machine


class Nesting(Enum):
    """Whether a machine has run a nested guest since its process started."""

    USED = "used"
    NOT_USED = "not-used"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Exposure:
    """Whether the processor has the feature that a hypervisor needs: YES, NO or UNKNOWN. by is
    one short clause: where that was read, or why it is unknown."""

    answer: Answer
    by: str


@dataclass(frozen=True)
class Usage:
    """Whether it has run nested guests. runs is the kernel's count of entries into them, 0 if
    there is no count; by as in Exposure."""

    nesting: Nesting
    runs: int
    by: str


@dataclass(frozen=True)
class Guest:
    """One virtual machine."""

    machine: Machine
    exposure: Exposure
    usage: Usage

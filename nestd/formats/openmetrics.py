# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metrics as text: OpenMetrics 1.0, and the older format that node_exporter's textfiles have.

The two differ in little: a counter's family is named without "_total" in OpenMetrics, which also
wants "# EOF" at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Union

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TEXT = re.compile(r"[^\\\"\n]+")
_TOTAL = "_total"

Labels = Mapping[str, str]
Number = Union[int, float]


class Kind(Enum):
    """The types that both formats know."""

    GAUGE = "gauge"
    COUNTER = "counter"  # only grows; its samples end in _total


@dataclass(frozen=True)
class Sample:
    """One value of a family."""

    value: Number
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """Samples of one name, which says its unit. text is one plain line on what they are.

    Raises ValueError for a name that is none, and for a text with a backslash, quotes or line ends:
    the formats escape them differently.
    """

    name: str
    text: str
    samples: Sequence[Sample]
    kind: Kind = Kind.GAUGE

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name.endswith(_TOTAL):
            raise ValueError(f"{self.name!r} is no name of a family")
        if not _TEXT.fullmatch(self.text):
            raise ValueError(f"{self.text!r} cannot stand behind # HELP")


def openmetrics(families: Iterable[Family]) -> str:
    """As OpenMetrics 1.0 has it. A family without samples is left out."""
    lines = [line for each in families if each.samples for line in _lines(each, each.name)]
    return "".join(f"{line}\n" for line in [*lines, "# EOF"])


def textfile(families: Iterable[Family]) -> str:
    """As node_exporter's textfile collector reads it (format 0.0.4)."""
    lines = [line for each in families if each.samples for line in _lines(each, _sample_name(each))]
    return "".join(f"{line}\n" for line in lines)


def _sample_name(family: Family) -> str:
    return family.name + (_TOTAL if family.kind is Kind.COUNTER else "")


def _lines(family: Family, name: str) -> Iterator[str]:
    yield f"# HELP {name} {family.text}"
    yield f"# TYPE {name} {family.kind.value}"
    for sample in family.samples:
        labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in sample.labels.items())
        yield f"{_sample_name(family)}{'{' + labels + '}' if labels else ''} {sample.value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

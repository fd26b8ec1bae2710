# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metrics as text: OpenMetrics 1.0, and the older format of node_exporter's textfile collector.

In OpenMetrics a counter's family is named without "_total", and the text ends with "# EOF".
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
    """The metric types common to both formats."""

    GAUGE = "gauge"
    COUNTER = "counter"  # only grows; its sample names end in _total


@dataclass(frozen=True)
class Sample:
    """One value of a metric family."""

    value: Number
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """The samples of one metric, whose name includes the unit; text is a one-line description.

    Raises ValueError for an invalid name, and for a text with backslashes, quotes or line ends,
    which the two formats escape differently.
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
    """The text in OpenMetrics 1.0. A family without samples is omitted."""
    lines = [line for each in families if each.samples for line in _lines(each, each.name)]
    return "".join(f"{line}\n" for line in [*lines, "# EOF"])


def textfile(families: Iterable[Family]) -> str:
    """The text for node_exporter's textfile collector (format 0.0.4)."""
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

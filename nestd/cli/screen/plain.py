# SPDX-License-Identifier: LGPL-2.1-or-later
"""Elements as lines for pipes and files: never wrapped, without trailing spaces.

Names may be in any script: the width of a column is that of its text on a terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from nestd.cli.screen.elements import Columns, Details, Element, Fields, Indented, Text

_GAP = "  "


def lines(element: Element) -> list[str]:
    """The lines of an element."""
    return [line.rstrip() for line in _lines(element)]


def _lines(element: Element) -> list[str]:
    if isinstance(element, Text):
        return [str(element)]
    if isinstance(element, Fields):
        return [_GAP + line for line in _table([(name, str(it)) for name, it in element.rows])]
    if isinstance(element, Columns):
        rows = [tuple(map(str, row)) for row in element.rows]
        return _table([element.titles, *rows])
    if isinstance(element, Details):
        return _table(_detail_rows(element))
    assert isinstance(element, Indented)
    return [_GAP + str(line) for line in element.lines]


def _detail_rows(element: Details) -> list[tuple[str, str]]:
    rows = []
    for word, texts in element.rows:
        first, *rest = map(str, texts)
        rows.append((str(word), first))
        rows += [("", _GAP + line) for line in rest]
    return rows


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(map(width, column)) for column in zip(*rows)]
    return [_GAP.join(map(_padded, row, widths)) for row in rows]


def _padded(text: str, size: int) -> str:
    return text + " " * (size - width(text))


def width(text: str) -> int:
    """The width of a text on a terminal, in columns."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1

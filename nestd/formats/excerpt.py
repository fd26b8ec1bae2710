# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shows only some parts of a text, line by line, so that line numbers stay the same."""

from __future__ import annotations

from collections.abc import Iterable

HIDDEN_LINE = b"# (not shown: not everybody may read this file)"
_HIDDEN_REST = b" ..."


def excerpt(data: bytes, shown: Iterable[tuple[int, int]]) -> bytes:
    """DATA reduced to the parts SHOWN, each the offsets of its first byte and of the one after it.

    A line without a shown part is replaced; a line that is shown in part ends in " ...".
    """
    parts, lines, start = sorted(shown), [], 0
    for line in data.splitlines(keepends=True):
        end = start + len(line)
        text = line.rstrip(b"\r\n")
        inside = [(max(first, start), min(last, end)) for first, last in parts]
        found = [data[first:last].strip() for first, last in inside if first < last]
        lines.append(_line(text, [part for part in found if part]) + line[len(text) :])
        start = end
    return b"".join(lines)


def _line(text: bytes, found: list[bytes]) -> bytes:
    if not text.strip():
        return text
    if not found:
        return HIDDEN_LINE
    shown = b" ".join(found)
    complete = shown.split() == text.split()
    return shown if complete else shown + _HIDDEN_REST

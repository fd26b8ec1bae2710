# SPDX-License-Identifier: LGPL-2.1-or-later
"""A unified diff of two texts that differ in one place, in linear time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile

_CONTEXT = 3
_HUNK = re.compile(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@")


def unified_diff(before: bytes, after: bytes, path: str) -> str:
    """The output of diff -u, "" for no difference; bytes that are not UTF-8 are escaped.

    difflib alone takes minutes for megabytes, so it gets only the lines around the difference.
    """
    import difflib  # takes 2 ms, needed only if a diff is shown

    old, new = _lines(before), _lines(after)
    start = max(0, _in_common(zip(old, new)) - _CONTEXT)
    rest = min(len(old), len(new)) - start
    end = max(0, min(rest, _in_common(zip(reversed(old), reversed(new)))) - _CONTEXT)
    lines = difflib.unified_diff(
        old[start : len(old) - end], new[start : len(new) - end], path, path
    )
    return "".join(_moved(line, start) for line in lines)


def _in_common(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _lines(data: bytes) -> Sequence[str]:
    return data.decode("utf-8", "backslashreplace").splitlines(keepends=True)


def _moved(line: str, lines: int) -> str:
    hunk = _HUNK.match(line)
    if hunk:
        old, new = int(hunk[1]) + lines, int(hunk[3]) + lines
        return f"@@ -{old}{hunk[2] or ''} +{new}{hunk[4] or ''} @@\n"
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"

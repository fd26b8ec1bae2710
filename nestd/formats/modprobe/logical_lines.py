# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lines of a modprobe.d file as joined by libkmod, with offsets into the file's bytes.

This is libkmod's freadline_wrapped(): a backslash before a line end joins two lines with nothing
in between; a backslash before any other byte is dropped and that byte is kept, in comment lines
too. A NUL byte ends the text of its line (libkmod's strings are C strings). A lone backslash at
the very end of a file is dropped since kmod 34; earlier it became byte 0xFF.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

# From this version of kmod on, a lone backslash at the end of a file is dropped.
DROPS_LAST_BACKSLASH = 34

_PIECE = re.compile(
    rb"(?P<plain>[^\\\n]+)|(?P<wrap>\\\n)|(?P<escape>\\.)|(?P<last>\\)|\n", re.DOTALL
)
_SIMPLE = re.compile(rb"[^\\\n\0]+\n")  # one physical line without special characters
BLANK = re.compile(rb"(?:[\t ]*\n|#[^\\\n]*\n)+")
"""Most comments and empty lines."""


@dataclass(frozen=True)
class Run:
    """Bytes of a logical line that are adjacent in the file."""

    raw: int  # offset of the first one in the file; for an escaped byte, of its backslash
    escaped: bool  # one byte of text, two bytes in the file
    line: int  # physical line, from 1


@dataclass(frozen=True)
class LogicalLine:
    """A line as libkmod sees it."""

    text: bytes  # joined, backslashes dropped, cut before the first NUL byte
    line: int  # physical line where it starts, from 1
    start: int  # offset in the file
    end: int  # offset in the file after it and its line end
    terminated: bool  # whether it has a line end
    unfinished: bool  # it ends where the file ends, in a backslash or a continued line
    has_nul: bool  # bytes of it were cut off
    runs: tuple[Run, ...] = field(repr=False)
    run_starts: tuple[int, ...] = field(repr=False)  # offset in the text of each run

    def raw_start(self, position: int) -> int:
        """The offset in the file where the byte of text at POSITION starts."""
        run, start = self._run(position)
        return run.raw + position - start

    def raw_end(self, position: int) -> int:
        """The offset in the file after the byte of text at POSITION."""
        run, start = self._run(position)
        return run.raw + position - start + (2 if run.escaped else 1)

    def line_at(self, position: int) -> int:
        """The physical line of the byte of text at POSITION."""
        return self._run(position)[0].line

    def _run(self, position: int) -> tuple[Run, int]:
        index = bisect_right(self.run_starts, position) - 1
        return self.runs[index], self.run_starts[index]


class _Builder:
    """One logical line under construction."""

    def __init__(self, start: int, line: int) -> None:
        self.start = start
        self.line = line
        self.parts: list[bytes] = []
        self.runs: list[Run] = []
        self.run_starts: list[int] = []
        self.size = 0

    def add(self, part: bytes, raw: int, line: int, *, escaped: bool = False) -> None:
        self.runs.append(Run(raw, escaped, line))
        self.run_starts.append(self.size)
        self.parts.append(part)
        self.size += len(part)

    def finish(self, end: int, *, terminated: bool, unfinished: bool) -> LogicalLine:
        text, nul, _ = b"".join(self.parts).partition(b"\0")
        return LogicalLine(
            text=text,
            line=self.line,
            start=self.start,
            end=end,
            terminated=terminated,
            unfinished=unfinished,
            has_nul=bool(nul),
            runs=tuple(self.runs),
            run_starts=tuple(self.run_starts),
        )


def logical_lines(
    data: bytes, *, kmod: int, skip: re.Pattern[bytes] | None = None
) -> Iterator[LogicalLine]:
    """The logical lines of a file's bytes, as version KMOD of libkmod reads them.

    They cover the file without gaps, comments and empty lines included. Physical lines that match
    SKIP, for example BLANK, are left out, which is much faster.
    """
    line, position = 1, 0
    while position < len(data):
        skipped = None if skip is None else skip.match(data, position)
        if skipped is not None:
            end = skipped.end()
        else:
            found = _simple(data, position, line) or _joined(data, position, line, kmod)
            yield found
            end = found.end
        line += data.count(b"\n", position, end)
        position = end


def _simple(data: bytes, start: int, line: int) -> LogicalLine | None:
    """The line at START if it has no special character (nearly all lines), else None."""
    found = _SIMPLE.match(data, start)
    if found is None:
        return None
    return LogicalLine(
        text=data[start : found.end() - 1],
        line=line,
        start=start,
        end=found.end(),
        terminated=True,
        unfinished=False,
        has_nul=False,
        runs=(Run(start, False, line),),
        run_starts=(0,),
    )


def _joined(data: bytes, start: int, line: int, kmod: int) -> LogicalLine:
    """The line at START in the general case."""
    current = _Builder(start, line)
    unfinished = False
    for piece in _PIECE.finditer(data, start):
        kind, at = piece.lastgroup, piece.start()
        unfinished = kind in ("wrap", "last")
        if kind == "plain":
            current.add(piece.group(), at, line)
        elif kind == "escape":
            current.add(piece.group()[1:], at, line, escaped=True)
        elif kind == "last" and kmod < DROPS_LAST_BACKSLASH:
            current.add(b"\xff", at, line)
        elif kind == "wrap":
            line += 1
        elif kind is None:
            return current.finish(piece.end(), terminated=True, unfinished=False)
    return current.finish(len(data), terminated=False, unfinished=unfinished)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nestctl prints. Of all of nestctl, only this floor of files knows rich.

Why rich (and argparse): Debian 12, Fedora and EPEL 9 package it, it is kept well, and tables, live
displays, NO_COLOR and terminals of every kind are its job. Arguments are parsed with the standard
library, which every host has: click would bring no more than nestctl needs. nestd imports neither.

Text comes from files and processes of other people, so control characters never reach a terminal.
Into a pipe every line goes whole, however long, and without padding at its end.
"""

from __future__ import annotations

import json
import os
import sys
import typing
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nestd.cli.service.errors import CliError
from nestd.formats.printable import one_line

GOOD, WARN, BAD, DIM, STRONG = "green", "yellow", "bold red", "dim", "bold"
WIDEST = 100
"""Columns that running text takes at most."""
_PIPE_WIDTH = 100_000

Cell = typing.Union[str, Text]


def styled(*parts: str | tuple[str, str]) -> Text:
    """Text of plain parts and of (part, style)."""
    text = Text()
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        text.append(one_line(words), style or None)
    return text


def cell(value: Cell) -> Text:
    """A value as text that is safe to print."""
    return value if isinstance(value, Text) else Text(one_line(value))


def fields(rows: Iterable[tuple[str, Cell]]) -> RenderableType:
    """Names and values, one pair a line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style=DIM)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, cell(value))
    return Padding(table, (0, 0, 0, 2))


def columns(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> RenderableType:
    """A table; the last column takes the rest of the line."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STRONG)
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title is not titles[-1])
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    return table


def details(rows: Iterable[tuple[Text, Sequence[str]]]) -> RenderableType:
    """A word and its lines in each row, the lines wrapped below each other."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=WIDEST if sys.stdout.isatty() else None)
    for word, lines in rows:
        for index, line in enumerate(lines):
            shown = cell(line)
            table.add_row(*((word, shown) if index == 0 else ("", Padding(shown, (0, 0, 0, 2)))))
    return table


def indented(*lines: Cell) -> RenderableType:
    """Lines set off from the text, such as commands to type."""
    return Padding(Group(*(cell(line) for line in lines)), (0, 0, 0, 2))


class Screen:
    """Standard output and standard error."""

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    def show(self, *renderables: RenderableType) -> None:
        """Print to standard output."""
        for each in renderables:
            _print(self.out, each)

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Print one paragraph."""
        self.show(styled(*parts))

    def commands(self, *lines: str) -> None:
        """Print what can be typed next."""
        self.show(indented(*lines))

    def diff(self, diff: str) -> None:
        """Print a unified diff."""
        styles = {"+": GOOD, "-": "red", "@": "cyan"}
        for line in diff.expandtabs().splitlines():
            header = line.startswith(("+++", "---"))
            self.say((line, STRONG if header else styles.get(line[:1], "")))

    def json(self, value: object) -> None:
        """Print a value as JSON; dataclasses become objects."""
        print(as_json(value, indent=2))

    def warn(self, text: str) -> None:
        """Print a warning to standard error."""
        _print(self.err, styled(("Warning: ", WARN), text))

    def note(self, text: str) -> None:
        """Print to standard error what is no result."""
        _print(self.err, styled(text))

    def show_aside(self, renderable: RenderableType) -> None:
        """Print to standard error."""
        _print(self.err, renderable)

    def failure(self, error: CliError) -> None:
        """Print an error and what to do next to standard error."""
        _print(self.err, styled(("nestctl: ", BAD), error.text))
        for line in error.hint.splitlines():
            _print(self.err, styled(line))

    @property
    def is_live(self) -> bool:
        """Whether something that changes in place can be shown."""
        return self.out.is_terminal and not self.out.is_dumb_terminal


def as_json(value: object, indent: int | None = None) -> str:
    """A value as JSON in ASCII; dataclasses become objects."""
    return json.dumps(value, indent=indent, default=_plain)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    return Console(
        file=stream,
        width=None if terminal else _PIPE_WIDTH,
        # Whether colours suit is the terminal's matter alone: FORCE_COLOR would put them in pipes.
        force_terminal=terminal,
        no_color=bool(os.environ.get("NO_COLOR")) or not terminal,
        markup=False,
        emoji=False,
        highlight=False,
    )


def _print(console: Console, renderable: RenderableType) -> None:
    if console.is_terminal:
        width = min(console.width, WIDEST) if isinstance(renderable, Text) else None
        console.print(renderable, width=width, no_wrap=False)
        return
    with console.capture() as captured:
        console.print(renderable)
    lines = captured.get().splitlines()
    console.file.write("".join(line.rstrip() + "\n" for line in lines))
    console.file.flush()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Elements on a terminal, with rich, which no other file imports.

rich is well maintained and packaged in Debian 12, Fedora and EPEL 9; it handles tables, live
displays, NO_COLOR and all kinds of terminals.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text as RichText

from nestd.cli.screen import formatting
from nestd.cli.screen.elements import (
    DIM,
    STRONG,
    Columns,
    Details,
    Element,
    Fields,
    Indented,
    Text,
)

WIDEST = 100
"""Maximum width of running text, in columns."""


class Terminal:
    """A stream that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(
            file=stream,
            # Ignore FORCE_COLOR, which would put colours into pipes.
            force_terminal=True,
            no_color=bool(os.environ.get("NO_COLOR")),
            markup=False,
            emoji=False,
            highlight=False,
        )

    @property
    def can_redraw(self) -> bool:
        """Whether output can be replaced in place."""
        return not self._console.is_dumb_terminal

    def print(self, element: Element) -> None:
        """Print an element; wraps running text.

        Commands are left to the terminal to wrap, so that they can be copied as a whole.
        """
        if isinstance(element, Indented):
            for line in element.lines:
                self._console.print(_text(Text((("  ", ""), *line.parts))), soft_wrap=True)
            return
        width = min(self._console.width, WIDEST) if isinstance(element, Text) else None
        self._console.print(renderable(element), width=width, no_wrap=False)

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        """Show the reason for a wait, replaced in place."""
        with self._console.status("") as status:
            yield status.update

    @contextmanager
    def countdown(self, seconds: int) -> Iterator[Callable[[float, str], None]]:
        """Show the remaining seconds and the size of a log."""
        with Progress(
            TextColumn("{task.fields[left]} left"),
            BarColumn(),
            TextColumn("{task.fields[size]}"),
            console=self._console,
            auto_refresh=False,
            transient=True,
        ) as progress:
            task = progress.add_task("", total=seconds, left="", size="")

            def show(left: float, size: str) -> None:
                at = seconds - left
                text = formatting.duration(left)
                progress.update(task, completed=at, left=text, size=size, refresh=True)

            yield show

    @contextmanager
    def transfer(self, name: str) -> Iterator[Callable[[int], None]]:
        """Show the number of received bytes."""
        with Progress(
            TextColumn(name),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        ) as progress:
            task = progress.add_task("", total=None)
            yield lambda size: progress.update(task, completed=size)

    def live(self) -> LiveView:
        """A view that is replaced in place."""
        return LiveView(self._console)


class LiveView:
    """Elements at the top, with as many of the latest events below as fit."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def start(self) -> None:
        """Take over the screen."""
        self._live.start()

    def stop(self) -> None:
        """Stop updating; the output stays on the screen."""
        self._live.stop()

    def show(self, elements: list[Element], events: deque[str], end: str) -> None:
        """Replace the contents; END is the last line, "" for none."""
        top = Group(*map(renderable, elements))
        height = len(self._console.render_lines(top)) + 4
        room = max(0, self._console.height - height)
        latest = [RichText(each) for each in list(events)[-room:]] if room else []
        quiet = [RichText("Nothing has changed yet.", DIM)]
        last = [RichText(""), RichText(end, DIM)] if end else []
        self._live.update(Group(top, "", *(latest or quiet), *last), refresh=True)


def renderable(element: Element) -> RenderableType:
    """An element as an object of rich."""
    if isinstance(element, Text):
        return _text(element)
    if isinstance(element, Fields):
        return _fields(element)
    if isinstance(element, Columns):
        return _columns(element)
    if isinstance(element, Details):
        return _details(element)
    assert isinstance(element, Indented)
    return Padding(Group(*map(_text, element.lines)), (0, 0, 0, 2))


def _text(text: Text) -> RichText:
    found = RichText()
    for part, style in text.parts:
        found.append(part, style or None)
    return found


def _fields(element: Fields) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style=DIM)
    table.add_column(overflow="fold")
    for name, value in element.rows:
        table.add_row(name, _text(value))
    return Padding(table, (0, 0, 0, 2))


def _columns(element: Columns) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STRONG)
    last = len(element.titles) - 1
    for index, title in enumerate(element.titles):
        table.add_column(title, overflow="fold", no_wrap=index != last)
    for row in element.rows:
        table.add_row(*map(_text, row))
    return table


def _details(element: Details) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=WIDEST)
    for word, lines in element.rows:
        for index, line in enumerate(lines):
            first = index == 0
            shown: RenderableType = _text(line) if first else Padding(_text(line), (0, 0, 0, 2))
            table.add_row(_text(word) if first else "", shown)
    return table

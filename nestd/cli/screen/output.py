# SPDX-License-Identifier: LGPL-2.1-or-later
"""Standard output and standard error: plain in pipes and files, with rich on a terminal.

Without rich, a terminal gets plain lines too.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Callable, TextIO

from nestd.cli.screen import plain
from nestd.cli.screen.elements import (
    BAD,
    GOOD,
    STRONG,
    WARN,
    Element,
    Indented,
    commands,
    indented,
    paragraphs,
    reworded,
    styled,
)
from nestd.cli.service.errors import CliError
from nestd.cli.service.values import as_plain

if TYPE_CHECKING:
    from nestd.cli.screen.terminal import LiveView, Terminal


class OutputError(CliError):
    """Standard output cannot be written; this error goes to standard error."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"The output cannot be written: {error.strerror or error}.")


class Screen:
    """The output of a command.

    SUGGEST rewrites the commands in a text so that they work as pasted. is_json: results and
    errors are printed as JSON.
    """

    def __init__(self, suggest: Callable[[str], str] = str, *, json: bool = False) -> None:
        self._suggest = suggest
        self.is_json = json
        self._terminals: dict[str, Terminal | None] = {}
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    # Standard output

    def show(self, *elements: Element | str) -> None:
        """Print to standard output. Raises OutputError."""
        for each in paragraphs(elements):
            element = reworded(each, self._suggest)
            terminal = self._terminal("stdout")
            if terminal is not None:
                with _written():
                    terminal.print(element)
            else:
                self.write("".join(f"{line}\n" for line in plain.lines(element)))

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Print one paragraph."""
        self.show(styled(*parts))

    def commands(self, *lines: str) -> None:
        """Print commands that can be run next."""
        self.show(indented(*lines))

    def diff(self, diff: str) -> None:
        """Print a unified diff."""
        styles = {"+": GOOD, "-": "red", "@": "cyan"}
        for line in diff.expandtabs().splitlines():
            header = line.startswith(("+++", "---"))
            self.say((line, STRONG if header else styles.get(line[:1], "")))

    def json(self, value: object, *, indent: int | None = 2) -> None:
        """Print a value as JSON in ASCII; NamedTuples become objects."""
        self.write(json.dumps(as_plain(value), indent=indent) + "\n")

    def write(self, text: str) -> None:
        """Write text unchanged. Raises OutputError."""
        with _written():
            if sys.stdout is None:  # closed before nestctl was started
                raise OSError(0, "it is closed")
            sys.stdout.write(text)
            sys.stdout.flush()

    # Standard error

    def warn(self, text: str) -> None:
        """Print a warning to standard error."""
        self.show_aside(styled(("Warning: ", WARN), text))

    def note(self, text: str) -> None:
        """Print something that is not a result to standard error."""
        self.show_aside(styled(text))

    def show_aside(self, element: Element) -> None:
        """Print to standard error unless the user has closed it."""
        if sys.stderr is None:
            return
        element = reworded(element, self._suggest)
        terminal = self._terminal("stderr")
        try:
            if terminal is not None:
                terminal.print(element)
            else:
                sys.stderr.write("".join(f"{line}\n" for line in plain.lines(element)))
                sys.stderr.flush()
        except OSError:
            return

    def failure(self, error: CliError) -> None:
        """Print an error and the next step to standard error, with --json to standard output."""
        if self.is_json and not isinstance(error, OutputError):
            refusal = {"name": error.name, "text": error.text, "blockers": error.blockers}
            self.json({"error": refusal})
            return
        self.show_aside(styled(("nestctl: ", BAD), error.text))
        for line in error.hint.splitlines():
            self.show_aside(indented(line[2:]) if line.startswith("  ") else styled(line))

    def choices(self, choices: list[tuple[str, str]]) -> None:
        """Print commands with remarks to standard error."""
        worded = [(self._suggest(line), remark) for line, remark in choices]
        found: Indented = commands(worded)
        self.show_aside(found)

    # Output replaced in place

    @property
    def is_live(self) -> bool:
        """Whether output can be replaced in place."""
        terminal = self._terminal("stdout")
        return terminal is not None and terminal.can_redraw

    def live(self) -> LiveView:
        """A view that is replaced in place; needs is_live."""
        terminal = self._terminal("stdout")
        assert terminal is not None
        return terminal.live()

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        """Show the reason for a wait: in place on a terminal, else one line per new sentence."""
        terminal = self._terminal("stdout")
        if terminal is not None and terminal.can_redraw:
            with terminal.waiting() as show:
                yield show
            return
        said: list[str] = []

        def say(sentence: str) -> None:
            if not self.is_json and said[-1:] != [sentence]:
                said.append(sentence)
                self.say(sentence)

        yield say

    @contextmanager
    def countdown(self, seconds: int) -> Iterator[Callable[[float, str], None]]:
        """Show the remaining seconds and the size of a log, on a terminal only."""
        terminal = self._terminal("stdout")
        if terminal is None or not terminal.can_redraw:
            yield lambda left, size: None
            return
        with terminal.countdown(seconds) as show:
            yield show

    @contextmanager
    def transfer(self, name: str) -> Iterator[Callable[[int], None]]:
        """Show the number of received bytes, on a terminal only."""
        terminal = self._terminal("stderr")
        if terminal is None:
            yield lambda size: None
            return
        with terminal.transfer(name) as show:
            yield show

    def _terminal(self, name: str) -> Terminal | None:
        """The stream as a terminal; None if it is not one or rich is not installed."""
        if name not in self._terminals:
            self._terminals[name] = None if self.is_json else _open_terminal(getattr(sys, name))
        return self._terminals[name]


def _open_terminal(stream: TextIO | None) -> Terminal | None:
    if stream is None or not stream.isatty():
        return None
    try:
        from nestd.cli.screen.terminal import Terminal
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("rich"):
            raise
        return None
    return Terminal(stream)


@contextmanager
def _written() -> Iterator[None]:
    """Turn a failed write into OutputError, unless the reader has closed the output."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output()
        raise OutputError(error) from error


def discard_output() -> None:
    """Discard all further standard output, including what Python flushes at exit."""
    with suppress(AttributeError, OSError):  # standard output may not exist
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The output of commands as values: styled text, fields, tables, findings.

plain writes them to pipes and files, terminal shows them with rich. Text may come from files and
processes of other users, so control characters are removed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Union

from nestd.formats.printable import one_line

GOOD, WARN, BAD, DIM, STRONG = "green", "yellow", "bold red", "dim", "bold"
_COMMAND_AND_REMARK = 80 - len("     # ")  # characters on one terminal line


class Text(NamedTuple):
    """One paragraph, as parts with their styles."""

    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "".join(part for part, _ in self.parts)


Cell = Union[str, Text]


class Fields(NamedTuple):
    """Names and values, one pair per line."""

    rows: tuple[tuple[str, Text], ...]


class Columns(NamedTuple):
    """A table; the last column fills the rest of the line."""

    titles: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]


class Details(NamedTuple):
    """Rows of a word and its lines; the lines after the first are indented."""

    rows: tuple[tuple[Text, tuple[Text, ...]], ...]


class Indented(NamedTuple):
    """Indented lines, such as commands to type."""

    lines: tuple[Text, ...]


Element = Union[Text, Fields, Columns, Details, Indented]


def styled(*parts: str | tuple[str, str]) -> Text:
    """A text from plain parts and (part, style) pairs."""
    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text(tuple((one_line(words), style) for words, style in pairs))


def cell(value: Cell) -> Text:
    """A value as text that is safe to print."""
    return value if isinstance(value, Text) else styled(value)


def fields(rows: Iterable[tuple[str, Cell]]) -> Fields:
    """Names and values, one pair per line."""
    return Fields(tuple((name, cell(value)) for name, value in rows))


def columns(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Columns:
    """A table."""
    return Columns(tuple(titles), tuple(tuple(map(cell, row)) for row in rows))


def details(rows: Iterable[tuple[Text, Sequence[str]]]) -> Details:
    """Rows of a word and its lines."""
    return Details(tuple((word, tuple(map(cell, lines))) for word, lines in rows))


def indented(*lines: Cell) -> Indented:
    """Indented lines."""
    return Indented(tuple(map(cell, lines)))


def command(line: str, remark: str = "") -> Text:
    """A command to type, and a remark that a shell ignores."""
    return styled(line, (f"   # {remark}", DIM)) if remark else styled(line)


def commands(choices: Iterable[tuple[str, str]]) -> Indented:
    """Commands to choose from with aligned remarks, or remarks above if lines would be too long."""
    pairs = list(choices)
    width = max((len(line) for line, _ in pairs), default=0)
    if any(width + len(remark) > _COMMAND_AND_REMARK for _, remark in pairs):
        lines = [(styled((f"# {remark}", DIM)), styled(line)) for line, remark in pairs]
        return Indented(tuple(text for both in lines for text in both if str(text) != "# "))
    return Indented(tuple(command(f"{line:{width}}", remark) for line, remark in pairs))


def reworded(element: Element, words: Callable[[str], str]) -> Element:
    """The element with the function WORDS applied to each part of its texts."""

    def text(given: Text) -> Text:
        return Text(tuple((words(part), style) for part, style in given.parts))

    if isinstance(element, Text):
        return text(element)
    if isinstance(element, Fields):
        return Fields(tuple((name, text(value)) for name, value in element.rows))
    if isinstance(element, Columns):
        return element
    if isinstance(element, Details):
        return Details(tuple((word, tuple(map(text, lines))) for word, lines in element.rows))
    return Indented(tuple(map(text, element.lines)))


def paragraphs(elements: Iterable[Element | str]) -> Iterator[Element]:
    """The elements, with plain strings turned into paragraphs without a style."""
    for each in elements:
        yield styled(each) if isinstance(each, str) else each

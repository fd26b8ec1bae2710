# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes one module's parameters in a modprobe.d file.

The one rule: bytes written by others never change.

Set: the last assignment of the parameter in the file gets the new value in its place, unless it has
that value already. If there is none, a line `options MODULE NAME=VALUE` is added at the end of the
file, with the line end of the line before it. A file without a final line end stays without one. An
unfinished last line (one that ends in a backslash) stays last.

Remove: every assignment of the parameter is removed, each with one separator; an options line that
becomes empty is removed with its line end. Setting a value in a file without one and removing it
again therefore restores the original bytes. A file that was created for the value stays, empty:
only people may remove it, since an empty file can mask one of the same name in a lower directory.

Assignments are those that the kernel would see: all options of the module in the file, joined by
libkmod and split by the kernel. Commented lines are never touched.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import or_
from reprlib import repr as shortened

from nestd.formats.modprobe import kernel_params
from nestd.formats.modprobe.kernel_params import Parameter
from nestd.formats.modprobe.logical_lines import BLANK, LogicalLine, logical_lines
from nestd.formats.modprobe.modprobe_d import Directive, Options, parse
from nestd.formats.modprobe.module_options import JoinedOptions, join
from nestd.formats.modprobe.next_load import text_for_people

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
# Printable ASCII without special meaning to libkmod and the kernel, and blanks, which the kernel
# keeps within double quotes.
_VALUE = re.compile(r"[ !$-&(-\[\]-~]+")


class EditError(ValueError):
    """The file cannot be changed as requested; the text is one sentence that says why and where."""


def configured(data: bytes, module: str, *, kmod: int) -> dict[str, str | None]:
    """The last value that the file assigns to each parameter of MODULE, None for a bare name.

    Names have '_' in place of '-'. KMOD is the major version of the installed kmod.
    """
    parameters = kernel_params.split(_joined(parse(data, kmod=kmod), _module(module)).text)
    return {
        text_for_people(parameter.key): None
        if parameter.value is None
        else text_for_people(parameter.value)
        for parameter in parameters
    }


def set_parameters(
    data: bytes, module: str, changes: Mapping[str, str | None], *, kmod: int
) -> bytes:
    """The file's bytes with CHANGES made; a value of None or "" removes the parameter.

    Raises EditError if a name or value would not reach the kernel unchanged, or if the rest of
    the file would keep the change from having exactly the requested effect. Nothing may be
    written then.
    """
    for parameter, value in changes.items():
        edit = _Edit(_module(module), _parameter_name(parameter), _checked(parameter, value), kmod)
        data = edit.apply(data)
    return data


def _module(module: str) -> bytes:
    if not _NAME.fullmatch(module):
        raise EditError(f"{shortened(module)} is not the name of a module.")
    return module.replace("-", "_").encode()


def _parameter_name(parameter: str) -> bytes:
    if not _NAME.fullmatch(parameter):
        raise EditError(f"{shortened(parameter)} is not the name of a parameter.")
    return parameter.encode()


def _checked(parameter: str, value: str | None) -> bytes | None:
    if not value:
        return None
    if not _VALUE.fullmatch(value):
        raise EditError(
            f"The value of {parameter} has a character that modprobe.d cannot pass on unchanged;"
            " letters, digits and most ASCII punctuation can be used, but no quotes, '\\' or '#'."
        )
    return value.encode()


@dataclass(frozen=True)
class _Place:
    """An assignment in the file."""

    parameter: Parameter
    source: LogicalLine
    text: bytes  # of the whole options line
    start: int  # offsets in that text
    end: int
    offset: int  # of that text in the logical line

    def raw(self, start: int, end: int) -> tuple[int, int]:
        """The offsets in the file of the bytes of text from START to END."""
        first, last = self.offset + start, self.offset + end - 1
        return self.source.raw_start(first), self.source.raw_end(last)


@dataclass(frozen=True)
class _Edit:
    """One change of one parameter; value None removes it."""

    module: bytes
    name: bytes
    value: bytes | None
    kmod: int

    def apply(self, data: bytes) -> bytes:
        """The changed bytes, verified by parsing them again. Raises EditError."""
        places = self._places(data)
        if self.value is None:
            edited = _without(data, places)
        elif not places:
            edited = self._with_line(data, self._assignment(self.value))
        elif places[-1].parameter.value == self.value:
            return data
        else:
            start, end = places[-1].raw(places[-1].start, places[-1].end)
            edited = data[:start] + self._assignment(self.value) + data[end:]
        self._check(data, edited)
        return edited

    def _assignment(self, value: bytes) -> bytes:
        return self.name + (b'="' + value + b'"' if b" " in value else b"=" + value)

    def _is_ours(self, parameter: Parameter) -> bool:
        return parameter.key == self.name.replace(b"-", b"_")

    def _places(self, data: bytes) -> list[_Place]:
        joined = _joined(parse(data, kmod=self.kmod), self.module)
        return [
            _place(joined, parameter)
            for parameter in kernel_params.split(joined.text)
            if self._is_ours(parameter)
        ]

    def _with_line(self, data: bytes, assignment: bytes) -> bytes:
        """DATA with a new line at its end, or before an unfinished last line."""
        line = b"options " + self.module + b" " + assignment
        # The unfinished line is split off with its line end, like most lines.
        lines = deque(logical_lines(data, kmod=self.kmod, skip=BLANK), maxlen=1)
        last = lines[-1] if lines else None
        if last is not None and not last.terminated and not last.unfinished:
            # Never add "\r" here: it would become part of somebody else's line.
            return data + b"\n" + line
        at = last.start if last is not None and last.unfinished else len(data)
        line_end = b"\r\n" if data[:at].endswith(b"\r\n") else b"\n"
        return data[:at] + line + line_end + data[at:]

    def _check(self, data: bytes, edited: bytes) -> None:
        before, after = parse(data, kmod=self.kmod), parse(edited, kmod=self.kmod)
        old, new = _joined(before, self.module), _joined(after, self.module)
        ours = [item.value for item in kernel_params.split(new.text) if self._is_ours(item)]
        if ours[-1:] != ([] if self.value is None else [self.value]):
            raise EditError(_hindrance(new))
        kept = self._others(old) == self._others(new)
        if not kept or self._foreign(before) != self._foreign(after):
            raise EditError("The rest of the file would not keep its meaning.")

    def _others(self, joined: JoinedOptions) -> list[tuple[bytes, bytes | None]]:
        words = kernel_params.tokens(joined.text)
        return [(word.name, word.value) for word in words if not self._is_ours(word)]

    def _foreign(self, directives: tuple[Directive, ...]) -> list[Directive]:
        return [replace(item, line=0) for item in directives if not _is_options(item, self.module)]


def _is_options(directive: Directive, module: bytes) -> bool:
    return isinstance(directive, Options) and directive.module == module


def _joined(directives: tuple[Directive, ...], module: bytes) -> JoinedOptions:
    return join(
        [item for item in directives if isinstance(item, Options) and item.module == module]
    )


def _place(joined: JoinedOptions, parameter: Parameter) -> _Place:
    index, start = joined.locate(parameter.start)
    last_index, last = joined.locate(parameter.end - 1)
    part = joined.parts[index]
    if index != last_index or part.source is None:
        raise EditError(f"A quotation mark in line {part.line_at(start)} is not closed there.")
    return _Place(parameter, part.source, part.text, start, last + 1, part.offset)


def _without(data: bytes, places: list[_Place]) -> bytes:
    """DATA without these assignments and one separator each, and without lines left empty."""
    lines: dict[int, list[_Place]] = {}
    for place in places:
        lines.setdefault(place.source.start, []).append(place)
    cuts = [cut for in_line in lines.values() for cut in _cuts(in_line)]
    if not cuts:
        return data
    kept = [data[end:start] for (_, end), (start, _) in zip([(0, 0), *cuts], cuts)]
    result = b"".join([*kept, data[cuts[-1][1] :]])
    last = places[-1].source
    if cuts[-1] == (last.start, last.end) and not last.terminated and not last.unfinished:
        # The file had no final line end; now the previous line, which is last, has none.
        return result[:-1]
    return result


def _cuts(places: list[_Place]) -> Iterator[tuple[int, int]]:
    """The spans to cut for these assignments, which all belong to one options line."""
    text, source = places[0].text, places[0].source
    gaps = zip(
        [0, *(place.end for place in places)], [*(place.start for place in places), len(text)]
    )
    stays = [bool(text[start:end].strip(kernel_params.WHITE_SPACE)) for start, end in gaps]
    if not any(stays):
        if source.has_nul:
            raise EditError(f"Line {source.line} has a NUL byte, what follows it would be lost.")
        yield source.start, source.end
        return
    for place, stays_before in zip(places, accumulate(stays, or_)):
        if stays_before:
            yield place.raw(place.start - 1, place.end)
        else:
            yield place.raw(place.start, place.end + 1)


def _hindrance(joined: JoinedOptions) -> str:
    """Why an assignment has no effect: what precedes it hides it from the kernel."""
    for token in kernel_params.tokens(joined.text):
        index, offset = joined.locate(token.start)
        line = joined.parts[index].line_at(offset)
        if token.is_end_mark:
            return f"The '--' in line {line} hides all options after it from the kernel."
        if token.open_quote or joined.locate(token.end - 1)[0] != index:
            return f"A quotation mark in line {line} is not closed and hides the options after it."
    return "The file as it is does not let the change have its effect."

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The grammar of modprobe.d files, exactly as libkmod reads them (modprobe.d(5), libkmod-config.c).

Words are separated by tabs and blanks only; every other byte belongs to a word, carriage return
and byte order mark included. A comment starts with '#' in the first column. Keywords and module
names are case-sensitive. libkmod warns of a bad line and continues; so does this parser, with
BadLine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Union

from nestd.formats.modprobe.logical_lines import BLANK, LogicalLine, logical_lines

# The version of kmod that introduced the keyword "weakdep".
KNOWS_WEAKDEP = 33

_WORD = re.compile(rb"[^\t ]+")
_MODULE = re.compile(rb"(?:[^\[\]]|\[[^\]]*\])*")
_DASH = re.compile(rb"-|\[[^\]]*\]")
_DEPRECATED = (b"include", b"config")


@dataclass(frozen=True)
class Options:
    """`options MODULE TEXT`: TEXT is passed to the kernel when MODULE is loaded."""

    module: bytes  # with '_' in place of '-'
    text: bytes  # tabs replaced by blanks, otherwise byte for byte
    line: int  # physical line where the directive starts, from 1; 0 on the kernel command line
    source: LogicalLine | None = field(default=None, compare=False, repr=False)
    offset: int = field(default=0, compare=False, repr=False)  # of TEXT in the logical line

    def line_at(self, position: int) -> int:
        """The physical line of the byte of text at POSITION."""
        return self.line if self.source is None else self.source.line_at(self.offset + position)


@dataclass(frozen=True)
class Blacklist:
    """`blacklist MODULE`: aliases and `modprobe -b` do not load it."""

    module: bytes
    line: int


@dataclass(frozen=True)
class Install:
    """`install MODULE COMMAND`: run instead of loading. MODULE may be a pattern (fnmatch(3))."""

    module: bytes
    command: bytes
    line: int


@dataclass(frozen=True)
class Remove:
    """`remove MODULE COMMAND`: run instead of unloading. MODULE may be a pattern (fnmatch(3))."""

    module: bytes
    command: bytes
    line: int


@dataclass(frozen=True)
class Alias:
    """`alias ALIAS MODULE`: another name, or a pattern of names, for a module."""

    alias: bytes
    module: bytes
    line: int


@dataclass(frozen=True)
class Softdep:
    """`softdep MODULE TEXT`: modules to load before and after."""

    module: bytes
    text: bytes
    line: int


@dataclass(frozen=True)
class Weakdep:
    """`weakdep MODULE TEXT`: modules that this one may request; a hint for initramfs builders."""

    module: bytes
    text: bytes
    line: int


@dataclass(frozen=True)
class BadLine:
    """A line that libkmod ignores with a warning."""

    line: int
    text: bytes
    reason: str


Directive = Union[Options, Blacklist, Install, Remove, Alias, Softdep, Weakdep, BadLine]


def parse(data: bytes, *, kmod: int, about: bytes = b"") -> tuple[Directive, ...]:
    """Parse all directives of a file, in order. KMOD is the major version of the installed kmod.

    With ABOUT, a module's name with '_', most directives that cannot concern that module are left
    out, but no bad lines. In a thousand files nearly all lines concern other modules.
    """
    return (_parse_large if len(data) > _LARGE else _parse_small)(data, kmod, about)


def _parse(data: bytes, kmod: int, about: bytes) -> tuple[Directive, ...]:
    directives = []
    for line in logical_lines(data, kmod=kmod, skip=_others(about, kmod) if about else BLANK):
        if line.text and not line.text.startswith(b"#") and line.text.strip(b"\t "):
            directives.append(_directive(line, kmod))
    return tuple(directives)


# Each file is parsed many times, and any user may request a plan with another value. The cache
# holds more files than a host has, but directives take fifty times the memory of their bytes.
_LARGE = 16 << 10  # bytes
_parse_small = lru_cache(maxsize=64)(_parse)
_parse_large = lru_cache(maxsize=4)(_parse)


@lru_cache(maxsize=64)
def _others(module: bytes, kmod: int) -> re.Pattern[bytes]:
    """Blank lines and comments, and well-formed lines about modules other than MODULE.

    A line with anything special (patterns, brackets, backslashes, NUL) does not match and is
    parsed in full.
    """
    name = re.escape(module).replace(b"_", b"[-_]")
    word, rest = rb"[^\t \n\0\\*?\[\]]+", rb"[^\n\0\\]"
    other = rb"[\t ]+(?!" + name + rb"[\t \n])" + word
    with_text = [b"options", b"install", b"remove", b"softdep"]
    with_text += [b"weakdep"] if kmod >= KNOWS_WEAKDEP else []
    forms = (
        rb"(?:" + b"|".join(with_text) + rb")" + other + rb"[\t ]" + rest + rb"+",
        rb"blacklist" + other + rb"(?:[\t ]" + rest + rb"*)?",
        rb"alias" + other + rb"[\t ]+" + word + rb"(?:[\t ]" + rest + rb"*)?",
    )
    line = rb"#[^\\\n]*|[\t ]*(?:" + b"|".join(forms) + rb")?"
    return re.compile(rb"(?:(?:" + line + rb")\n)+")


def normalize(name: bytes) -> bytes | None:
    """A module name or pattern with '-' as '_' outside [...]; None for unbalanced brackets."""
    if _MODULE.fullmatch(name) is None:
        return None
    return _DASH.sub(lambda found: b"_" if found.group() == b"-" else found.group(), name)


class _WordReader:
    """Reads the words of a line one by one, as strtok_r(3) does."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self.position = 0

    def word(self) -> bytes | None:
        found = _WORD.search(self._text, self.position)
        if found is None:
            return None
        # strtok_r() also consumes the separator that ends the word.
        self.position = min(found.end() + 1, len(self._text))
        return found.group()

    def module(self) -> bytes | None:
        word = self.word()
        return None if word is None else normalize(word)

    def rest(self) -> bytes:
        return self._text[self.position :]


def _directive(line: LogicalLine, kmod: int) -> Directive:
    words = _WordReader(line.text)
    keyword = words.word()
    if keyword == b"alias":
        alias, module = words.module(), words.module()
        if alias is None or module is None:
            return _bad(line, "an alias needs two names, with brackets in pairs")
        return Alias(alias, module, line.line)
    if keyword in _DEPRECATED:
        return _bad(line, "this keyword is no longer read")
    known = (b"options", b"blacklist", b"install", b"remove", b"softdep")
    if keyword not in known and not (keyword == b"weakdep" and kmod >= KNOWS_WEAKDEP):
        return _bad(line, "no such keyword")
    module = words.module()
    if module is None:
        return _bad(line, "a module name is missing, or its brackets are not in pairs")
    if keyword == b"blacklist":
        return Blacklist(module, line.line)
    rest = words.rest()
    if not rest:
        return _bad(line, "nothing follows the module name")
    return _with_text(keyword, module, rest, line, words.position)


def _with_text(
    keyword: bytes | None, module: bytes, rest: bytes, line: LogicalLine, offset: int
) -> Directive:
    if keyword == b"options":
        return Options(module, rest.replace(b"\t", b" "), line.line, line, offset)
    if keyword == b"install":
        return Install(module, rest, line.line)
    if keyword == b"remove":
        return Remove(module, rest, line.line)
    if keyword == b"softdep":
        return Softdep(module, rest, line.line)
    return Weakdep(module, rest, line.line)


def _bad(line: LogicalLine, reason: str) -> BadLine:
    return BadLine(line.line, line.text, reason)

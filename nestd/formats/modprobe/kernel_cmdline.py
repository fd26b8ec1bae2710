# SPDX-License-Identifier: LGPL-2.1-or-later
"""Module options on the kernel command line, exactly as libkmod reads them.

`MODULE.PARAMETER[=VALUE]` counts as an options line, `modprobe.blacklist=A,B` as blacklist lines.
libkmod reads the first 4095 bytes of /proc/cmdline (libkmod-config.c) and ignores the kernel's
`--`. Its parser was rewritten in kmod 29; RHEL 9 has kmod 28.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Optional

from nestd.formats.modprobe.modprobe_d import BadLine, Blacklist, Directive, Options, normalize

PATH = "/proc/cmdline"

_BYTES_READ = 4095
# The version of kmod whose parser handles quotes before the module name and more white space.
_REWRITTEN = 29

# Outside quotes white space ends a word; an unclosed quote extends to the end.
_WORD = re.compile(rb'(?:[^"\s]+|"[^"]*(?:"|\Z))+')
_OLD_WORD = re.compile(rb'(?:[^" ]+|"[^"]*(?:"|\Z))+')
_OPTION = re.compile(rb'("?)([^".=\s]*)\.([^".=\s]*)(?:=(.*))?', re.DOTALL)


def parse(data: bytes, *, kmod: int) -> tuple[Directive, ...]:
    """The directives in the bytes of /proc/cmdline (Options, Blacklist and BadLine), all on line 0.

    KMOD is the major version of the installed kmod.
    """
    text = data[:_BYTES_READ].partition(b"\0")[0]
    split = _split if kmod >= _REWRITTEN else _old_split
    return tuple(directive for parts in split(text) for directive in _directives(*parts))


# Module name, option with its value, value.
_Parts = tuple[bytes, bytes, Optional[bytes]]


def _split(text: bytes) -> Iterator[_Parts]:
    for word in _WORD.findall(text):
        found = _OPTION.fullmatch(word)
        if found is None or word.count(b'"') % 2:
            continue
        quote, module, parameter, value = found.groups()
        if value is None:
            yield module, parameter, None
        else:
            # The boot loader quoted "MODULE.PARAMETER=A B" as a whole.
            value = quote + value
            yield module, parameter + b"=" + value, value


def _old_split(text: bytes) -> Iterator[_Parts]:
    """The words as kmod 28 splits them: at blanks, and only the first line counts."""
    for word in _OLD_WORD.findall(text.partition(b"\n")[0]):
        parts = _old_parts(word)
        if parts is not None:
            yield parts


def _old_parts(word: bytes) -> _Parts | None:
    dot: int | None = None
    value: int | None = None
    is_option, quoted = True, False
    for position, byte in enumerate(word):
        if byte == ord('"'):
            quoted = not quoted
            # A quote invalidates the word unless a value is complete when the quote is closed.
            is_option = (dot is not None and value is not None) if not quoted else False
        elif quoted:
            continue
        elif byte == ord(".") and dot is None:
            dot = position
        elif byte == ord("=") and dot is not None:
            value = position + 1
        elif byte == ord("="):
            is_option = False
    if not is_option or dot is None:
        return None
    return word[:dot], word[dot + 1 :], None if value is None else word[value:]


def _directives(module: bytes, option: bytes, value: bytes | None) -> Iterator[Directive]:
    if module == b"modprobe" and option.startswith(b"blacklist=") and value is not None:
        # These names are not normalized: with a '-' they never match a module.
        for name in value.split(b","):
            yield Blacklist(name, 0)
        return
    normal = normalize(module)
    if normal is None:
        yield BadLine(0, module, "brackets of the module name are not in pairs")
    else:
        yield Options(normal, option.replace(b"\t", b" "), 0)

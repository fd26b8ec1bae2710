# SPDX-License-Identifier: LGPL-2.1-or-later
"""Patterns for module names: fnmatch(3) without flags, on bytes, in the C locale.

Python's own fnmatch supports neither backslashes nor `[^...]`.
"""

from __future__ import annotations

import re

_PIECE = re.compile(rb"\*|\?|\\(.)|\[([!^]?)((?:\\.|[^\]\\])+)\]|(.)", re.DOTALL)
_MEMBER = re.compile(rb"\\?(.)(?:-\\?(.))?", re.DOTALL)


def matches(pattern: bytes, name: bytes) -> bool:
    """Whether NAME matches PATTERN, which libkmod has accepted (no ']' inside brackets)."""
    expression = b"".join(_translate(piece) for piece in _PIECE.finditer(pattern))
    return re.fullmatch(expression, name, re.DOTALL) is not None


def _translate(piece: re.Match[bytes]) -> bytes:
    escaped, negation, members, plain = piece.groups()
    if members is not None:
        # A reversed range is empty, and an empty class matches nothing.
        wanted = {byte for member in _MEMBER.finditer(members) for byte in _range(member)}
        chosen = set(range(256)) - wanted if negation else wanted
        return b"[" + b"".join(b"\\x%02x" % byte for byte in chosen) + b"]" if chosen else b"(?!)"
    if escaped is not None or plain is not None:
        return re.escape(plain if escaped is None else escaped)
    return b".*" if piece.group() == b"*" else b"."


def _range(member: re.Match[bytes]) -> range:
    first, last = member.groups()
    return range(first[0], (first if last is None else last)[0] + 1)

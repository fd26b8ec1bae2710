# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes foreign text safe for a sentence, a list or the journal: one line, printable, short.

Anyone who can start a process chooses its name, its arguments and often its control group.
"""

from __future__ import annotations

LONGEST_QUOTED = 60  # characters of a caller's words that a message repeats
LONGEST = 256  # characters: a file name (at most 255 bytes) is shown whole


def printable(data: bytes, longest: int = LONGEST) -> str:
    r"""Decode DATA as UTF-8; other bytes and unprintable characters become escapes (\xff, \n).

    A text of more than LONGEST characters is cut there and ends with "...".
    """
    text = data[: 4 * (longest + 1)].decode("utf-8", "backslashreplace")
    shown = "".join(char if char.isprintable() else _escape(char) for char in text)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def one_line(text: str) -> str:
    """TEXT with a question mark for each unprintable character, line ends included."""
    return "".join(char if char.isprintable() else "?" for char in text)


def quoted(text: str) -> str:
    """A caller's text made safe to repeat in a message: quoted, printable, short."""
    start = text[:LONGEST_QUOTED]
    shown = one_line(start)
    return f'"{shown}"' if start == text else f'"{shown}..."'


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")

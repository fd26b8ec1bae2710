# SPDX-License-Identifier: LGPL-2.1-or-later
"""The patterns of log filters: "*" matches any text, "?" any character, the rest itself.

A pattern matches anywhere in a category: libvirt puts "*" around it (virLogFilterNew). This holds
since libvirt 4.4.0, first with fnmatch(3), then with GLib's g_pattern_match_simple(), which treats
"[" as an ordinary character.
"""

from __future__ import annotations

import re
from functools import lru_cache


def normal(pattern: str) -> str:
    """The shortest form with the same meaning: without the stars around it, "*" for all.

    A star stays before a leading "+", which libvirt would drop (old versions gave it a meaning).
    """
    inner = re.sub(r"\*\*+", "*", pattern.strip("*"))
    return "*" + inner if not inner or inner.startswith("+") else inner


def matches(pattern: str, category: str) -> bool:
    """Whether libvirt finds the pattern in the category."""
    return _found(pattern, category, barrier="")


def covers(general: str, special: str) -> bool:
    """Whether GENERAL matches every category that SPECIAL matches.

    In rare cases with "?" next to "*" the answer is False although it does.
    """
    # A star of SPECIAL stands for any text, so only a star of GENERAL may cover it.
    return _found(general, special, barrier="*")


def _found(pattern: str, text: str, barrier: str) -> bool:
    """Whether all pieces between the pattern's stars are in the text, in order."""
    position = 0
    for piece in pattern.split("*"):
        position = _find(piece, text, position, barrier)
        if position < 0:
            return False
        position += len(piece)
    return True


def _find(piece: str, text: str, position: int, barrier: str) -> int:
    if "?" not in piece:
        return text.find(piece, position)
    if len(piece) > len(text) - position:
        return -1
    found = _expression(piece, barrier).search(text, position)
    return found.start() if found else -1


@lru_cache(maxsize=64)
def _expression(piece: str, barrier: str) -> re.Pattern[str]:
    any_character = f"[^{barrier}]" if barrier else "."
    return re.compile(re.escape(piece).replace(r"\?", any_character), re.DOTALL)

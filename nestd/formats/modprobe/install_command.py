# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command of an `install` line, which modprobe hands to /bin/sh instead of loading a module."""

from __future__ import annotations

import re

_STEPS = re.compile(r"&&|\|\||[;&|\n]")
_LOAD_NOTHING = frozenset(
    ("true", "false", ":", "exit", "echo", "printf", "logger", "test", "[", "sleep")
)


def loads_nothing(command: str) -> bool:
    """Whether COMMAND certainly loads no module; only a try shows what others do."""
    if "$(" in command or "`" in command:
        return False
    steps = [step.split() for step in _STEPS.split(command) if step.strip()]
    return bool(steps) and all(words[0].rpartition("/")[2] in _LOAD_NOTHING for words in steps)

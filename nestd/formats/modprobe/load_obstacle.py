# SPDX-License-Identifier: LGPL-2.1-or-later
"""Obstacles to loading a module, and the sentence that describes each.

core finds the obstacles and reports them as (kind, text, file, line); the daemon and nestctl both
take the sentences from here.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple


class ObstacleKind(Enum):
    """The kinds of obstacles; the values are those of the D-Bus interface."""

    BLACKLIST = "blacklist"  # udev does not load the module, `modprobe NAME` does
    INSTALL = "install"  # modprobe runs a command instead of loading it
    ALIAS = "alias"  # modprobe resolves its name to another module, or to none
    DENIED = "denied"  # module_blacklist= on the kernel command line
    VALUE = "value"  # the module would reject a value
    FILE = "file"  # modprobe would hang on a file, or stop there
    DEPENDENCY = "dependency"  # a module that it needs has one of these
    UNKNOWN_PARAMETER = "unknown-parameter"  # the kernel ignores it: the load succeeds


class LoadObstacle(NamedTuple):
    """One obstacle, with its place and the text found there.

    kind is a value of ObstacleKind, or one of a later version. text is "" if others cannot read
    the file. For "dependency" it is "MODULE KIND" or "MODULE KIND: TEXT", about the needed module.
    line is 0 on the kernel command line, and for a whole file.
    """

    kind: str
    text: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """The place, as the beginning of a sentence."""
        if self.line or not self.file.startswith("/proc/"):
            return f"{self.file}:{self.line}" if self.line else self.file
        return "The kernel command line"


_SENTENCES = {
    "blacklist": "{place} keeps udev from loading {module} at boot; modprobe {module} loads it.",
    "install": "{place} runs a command instead of loading {module}{text}.",
    "alias": "{place} makes modprobe take {module} for another module{text}.",
    "denied": "{place} forbids loading {module}{text}.",
    "value": "{place} sets {words}, which {module} refuses: the module would not load.",
    "file": "No module is loaded or unloaded as long as modprobe would have to read this: {place}"
    " {words}.",
    "unknown-parameter": "{place} sets {words} for {module}, which has no such parameter: the"
    " kernel ignores it.",
}
_OTHER = "{place} keeps {module} from being loaded{text}."


_STEPS = re.compile(r"&&|\|\||[;&|\n]")
_LOAD_NOTHING = frozenset(
    ("true", "false", ":", "exit", "echo", "printf", "logger", "test", "[", "sleep")
)


def loads_nothing(command: str) -> bool:
    """Whether COMMAND of an `install` line certainly loads no module.

    modprobe passes it to /bin/sh; the effect of other commands shows only when they run.
    """
    if "$(" in command or "`" in command:
        return False
    steps = [step.split() for step in _STEPS.split(command) if step.strip()]
    return bool(steps) and all(words[0].rpartition("/")[2] in _LOAD_NOTHING for words in steps)


def sentence(module: str, obstacle: LoadObstacle) -> str:
    """One sentence about OBSTACLE to a load of MODULE."""
    kind, text, needed = obstacle.kind, obstacle.text, ""
    if kind == ObstacleKind.DEPENDENCY.value:
        needed, _, kind = text.partition(": ")[0].partition(" ")
        text = text.partition(": ")[2]
    said = _SENTENCES.get(kind, _OTHER).format(
        place=obstacle.place,
        module=needed or module,
        text=f" ({text})" if text else "",
        words=text or "something",
    )
    return f"{said[:-1]}, and {module} needs {needed}." if needed else said

# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's log outputs: "1:file:/var/log/libvirt/libvirtd.log 3:journald" says where messages go.

Every output gets the messages of at least its level. The last of two outputs to the same place
counts. No outputs at all means libvirt's default, see DEFAULT. What nestd writes is the subset that
means the same from libvirt 4.4 on; libvirt reports absolute, normalized paths.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from nestd.formats.libvirt.log_items import (
    InvalidItem,
    Item,
    Level,
    lenient_level,
    shown,
    split_leniently,
    split_strictly,
    strict_level,
)

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_IN_PATH = re.compile(r"[^A-Za-z0-9_.,+=@%~/-]")
_FORMS = "LEVEL:journald, LEVEL:stderr, LEVEL:syslog:NAME or LEVEL:file:/PATH"


class Destination(Enum):
    """Where messages go; the value is libvirt's word for it."""

    STDERR = "stderr"
    JOURNALD = "journald"
    SYSLOG = "syslog"
    FILE = "file"


# An output of these kinds must name its destination.
_NAMED = (Destination.SYSLOG, Destination.FILE)


@dataclass(frozen=True)
class Output:
    """One destination for messages of at least a level."""

    level: Level
    destination: Destination
    name: str = ""  # the identifier of a syslog output, the absolute path of a file

    def __str__(self) -> str:
        end = f":{self.name}" if self.destination in _NAMED else ""
        return f"{self.level:d}:{self.destination.value}{end}"

    @property
    def place(self) -> tuple[Destination, str]:
        """The destination; two outputs must not share it."""
        return self.destination, self.name


class InvalidOutput(InvalidItem):
    """An output breaks a rule; the text and the attributes say which output and which rule."""

    noun = "output"


# libvirt's default if none are set and systemd's journal exists (virLogSetDefaultOutput).
DEFAULT = (Output(Level.WARNING, Destination.JOURNALD),)


def parse_strict(text: str) -> tuple[Output, ...]:
    """Parse the outputs of a text that nestd may write; none for an empty text.

    Raises InvalidOutput, also for more than MAX_TEXT characters.
    """
    outputs: list[Output] = []
    places = set()
    for item in split_strictly(text, InvalidOutput):
        output = _strict(item)
        if output.place in places:
            raise InvalidOutput(item, "an earlier output goes to the same place")
        places.add(output.place)
        outputs.append(output)
    return tuple(outputs)


def parse_readback(text: str, directory: str = "/") -> tuple[Output, ...]:
    """Parse the outputs of a text from libvirt or a file, as libvirt 9 does.

    DIRECTORY is the daemon's working directory, for relative paths. The last of several outputs
    to one place is kept. Raises InvalidOutput for a text that no version of libvirt accepts;
    whether a file can be opened is not checked.
    """
    outputs: dict[tuple[Destination, str], Output] = {}
    for item in split_leniently(text, InvalidOutput):
        output = _lenient(item, directory)
        outputs.pop(output.place, None)  # so that the last one also comes last
        outputs[output.place] = output
    return tuple(outputs.values())


def canonical(outputs: Iterable[Output]) -> str:
    """The outputs as nestd shows and writes them."""
    return " ".join(map(str, outputs))


def add(outputs: Iterable[Output], new: Output) -> tuple[Output, ...]:
    """Add an output; every message that was shown before is still shown.

    No outputs means libvirt's default, which no longer applies once any output is set: the
    default is then added by name. An output to the same place stays, with the lower level.
    """
    known = tuple(outputs) or DEFAULT
    if all(one.place != new.place for one in known):
        return (*known, new)
    lower = [Output(min(one.level, new.level), *one.place) for one in known]
    return tuple(low if one.place == new.place else one for one, low in zip(known, lower))


def file_paths(outputs: Iterable[Output]) -> tuple[str, ...]:
    """The files that the outputs write to. libvirt creates files but not their directories."""
    return tuple(one.name for one in outputs if one.destination is Destination.FILE)


def _strict(item: Item) -> Output:
    level, *rest = item.text.split(":")
    if not rest:
        raise InvalidOutput(item, f"an output is {_FORMS}")
    known_level = strict_level(item, level, InvalidOutput)
    destination = _destination(item, rest)
    name = rest[1] if destination in _NAMED else ""
    if destination is Destination.SYSLOG and (not name or _NOT_IN_NAME.search(name)):
        raise InvalidOutput(item, "NAME is made of ASCII letters, digits and the characters _ . -")
    if destination is Destination.FILE:
        _check_path(item, name)
    return Output(known_level, destination, name)


def _check_path(item: Item, path: str) -> None:
    wrong = _NOT_IN_PATH.search(path)
    if wrong:
        allowed = "ASCII letters, digits and the characters _ . , + = @ % ~ - /"
        rule = f"a path is made of {allowed}, and {shown(wrong.group())} is none of them"
        raise InvalidOutput(item, rule)
    if not path.startswith("/") or path == "/":
        raise InvalidOutput(item, "the path must be the absolute one of a file")
    if path != _absolute(path, "/") or path.startswith("//"):
        raise InvalidOutput(item, "the path must have no empty part, no '.' and no '..'")


def _lenient(item: Item, directory: str) -> Output:
    level, *rest = item.text.split(":")
    if not rest:
        raise InvalidOutput(item, f"an output is {_FORMS}")
    known_level = lenient_level(item, level, InvalidOutput)
    destination = _destination(item, rest)
    if destination is Destination.FILE:
        return Output(known_level, destination, _absolute(rest[1], directory))
    return Output(known_level, destination, *rest[1:])


def _destination(item: Item, rest: list[str]) -> Destination:
    """The destination that the parts after the level name. Raises InvalidOutput."""
    try:
        destination = Destination(rest[0])
    except ValueError:
        raise InvalidOutput(item, f"an output is {_FORMS}") from None
    if len(rest) != (2 if destination in _NAMED else 1):
        form = f"LEVEL:{rest[0]}" + {"syslog": ":NAME", "file": ":/PATH"}.get(rest[0], "")
        raise InvalidOutput(item, f"this kind of output is {form}, with no other colon")
    return destination


def _absolute(path: str, directory: str) -> str:
    """Normalize PATH as g_canonicalize_filename() does: textually, two leading slashes kept."""
    return posixpath.normpath(posixpath.join(directory, path))

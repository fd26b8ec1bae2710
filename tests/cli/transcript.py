# SPDX-License-Identifier: LGPL-2.1-or-later
"""Transcripts: commands with their output, replayed on a simulated host and compared.

A transcript is a text file. A line that starts with "$ " is a command; the lines up to the next
command are its output: standard output, then standard error, then "[exit code N]" unless it is 0.
The commands besides nestctl are

    start NAME         a virtual machine starts; goes on when nestd knows of it
    end NAME           it ends
    write PATH TEXT    a file of the host gets that text; \\n is a line end
    mkdir PATH         a directory of the host
    settle             wait until no job waits

and "guests/FILE" is a file of tests/unit/guests.

To rewrite the outputs after a change: NESTD_UPDATE_GOLDEN=1 pytest tests/cli
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from run_nestctl import CHECKOUT, nestctl
from running_nestd import Nestd

from nestd import __version__

GUESTS = CHECKOUT / "tests" / "unit" / "guests"
_SECONDS = 60
_PAUSE = 0.02


@dataclass(frozen=True)
class Step:
    command: str
    output: str

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.output}"


def read(path: Path) -> list[Step]:
    """The steps of a transcript."""
    parts = re.split(r"^\$ (.*)\n", path.read_text(), flags=re.MULTILINE)[1:]
    return [Step(command, output) for command, output in zip(parts[::2], parts[1::2])]


def replay(nestd: Nestd, steps: list[Step]) -> list[Step]:
    """The same steps with their actual output."""
    return [Step(step.command, _run(nestd, step.command)) for step in steps]


def _run(nestd: Nestd, command: str) -> str:
    program, *arguments = shlex.split(command)
    if program == "nestctl":
        return _nestctl(nestd, arguments)
    if program == "start":
        nestd.start_machine(arguments[0])
        _wait_until(nestd, lambda state: _runs(state, arguments[0]))
    elif program == "end":
        nestd.end_machine(arguments[0])
        # A waiting job checks a few times before it reports again what it waits for.
        _wait_until(
            nestd, lambda state: arguments[0] not in str((state["machines"], state["jobs"]))
        )
    elif program == "write":
        _write(nestd, arguments[0], arguments[1].replace("\\n", "\n"))
    elif program == "mkdir":
        (nestd.root / arguments[0].lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif program == "settle":
        _wait_until(nestd, lambda state: not state["jobs"])
    else:
        raise AssertionError(f"no such command: {command}")
    return ""


def _nestctl(nestd: Nestd, arguments: list[str]) -> str:
    paths = [str(GUESTS / each[7:]) if each.startswith("guests/") else each for each in arguments]
    result = nestctl(nestd.address, *paths)
    text = result.out + result.err
    text += f"[exit code {result.code}]\n" if result.code else ""
    for pattern, words in (
        (re.escape(str(GUESTS)), "guests"),
        (re.escape(str(nestd.root)), ""),
        (re.escape(__version__), "VERSION"),
        (r'"uid": \d+', '"uid": 0'),
        (r'"token": "[0-9a-f]+"', '"token": "TOKEN"'),
        # How long it has waited, and its progress, vary from run to run.
        (r"(?m)(  waiting  )\d s ", r"\g<1>0 s "),
        (r'"since": \d+', '"since": 0'),
        (r"(?m)^Job \d+: the reload of \w+ (?:waits for its turn|is [a-z-]+)\n", ""),
    ):
        text = re.sub(pattern, words, text)
    return text


def _write(nestd: Nestd, path: str, text: str) -> None:
    """Write a file, and wait until nestd has noticed it: it signals every change of a file."""
    target = nestd.root / path.lstrip("/")
    before = _state(nestd)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    if text.startswith("#!"):
        target.chmod(0o755)
    _wait_until(nestd, lambda state: state != before)


State = dict  # output of nestctl status --json


def _state(nestd: Nestd) -> State:
    result = nestctl(nestd.address, "status", "--json")
    assert result.code == 0, result.err
    state: State = json.loads(result.out)
    return state


def _runs(state: State, name: str) -> bool:
    listed = any(machine["name"] == name for machine in state["machines"])
    return listed and state["machine_count"] == len(state["machines"])


def _wait_until(nestd: Nestd, condition: Callable[[State], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition(_state(nestd)):
        assert time.monotonic() < deadline, "nestd did not take notice"
        time.sleep(_PAUSE)

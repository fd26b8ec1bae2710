# SPDX-License-Identifier: LGPL-2.1-or-later
"""A case: its host, its commands, and the expectations in answer.txt; see README.md."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from run_nestctl import nestctl
from running_nestd import Nestd, running_nestd

HERE = Path(__file__).resolve().parent
CASES = sorted(each.parent for each in HERE.glob("*/answer.txt"))


class Step(NamedTuple):
    """A command and the assertions on its output."""

    command: str
    present: tuple[str, ...]
    absent: tuple[str, ...]
    code: int


class Answer(NamedTuple):
    """The content of answer.txt; open is the fault that is not fixed yet, "" for none."""

    open: str
    steps: tuple[Step, ...]


def read_answer(text: str) -> Answer:
    head, *parts = re.split(r"^\$ (.*)\n?", text, flags=re.MULTILINE)
    found = re.search(r"^Open: (.*)", head, re.MULTILINE)
    steps = [_step(*each) for each in zip(parts[::2], parts[1::2])]
    return Answer(found.group(1) if found else "", tuple(steps))


def _step(command: str, text: str) -> Step:
    lines = [line for line in text.splitlines() if line.strip()]
    present = tuple(line[2:] for line in lines if line.startswith("+ "))
    absent = tuple(line[2:] for line in lines if line.startswith("- "))
    codes = [int(line[1:-1]) for line in lines if re.fullmatch(r"\[\d+\]", line)]
    assert len(lines) == len(present) + len(absent) + len(codes), f"not understood: {text}"
    return Step(command, present, absent, codes[0] if codes else 0)


@contextmanager
def host_of(case: Path, address: str, directory: Path) -> Iterator[Nestd]:
    """nestd on the case's host."""
    root = directory / "root"
    root.mkdir()
    if (case / "root").exists():
        shutil.copytree(case / "root", root, dirs_exist_ok=True, symlinks=True)
    kind = (case / "kind").read_text().strip()
    arguments = [] if kind == "standalone" else ["--simulate", kind]
    with running_nestd(address, directory, *arguments) as nestd:
        yield nestd


def run(case: Path, nestd: Nestd, command: str) -> tuple[str, int]:
    """A command's output and exit code."""
    if command.startswith("!"):
        done = subprocess.run(
            command[1:], shell=True, cwd=nestd.root, capture_output=True, text=True
        )
        return done.stdout + done.stderr, done.returncode
    words = [f"{case}/{word[1:]}" if word[0] == "@" else word for word in shlex.split(command)]
    result = nestctl(nestd.address, *words)
    return result.out + result.err, result.code

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An editor that adds a line of its own to a file, over and over, in one MANNER.

    editor.py MANNER FILE

For each line of its input, a number of seconds, it waits so long, saves, and answers with a line.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def in_place(path: Path, number: int) -> None:
    """As `cat >`, or Ansible's lineinfile with unsafe_writes: truncate, then write bit by bit."""
    data = with_lines(path.read_bytes(), number)
    with open(path, "wb", buffering=0) as file:
        pause()
        file.write(data[: len(data) // 2])
        pause()
        file.write(data[len(data) // 2 :])


def read_and_write(path: Path, number: int) -> None:
    """As ed and others that keep the file open from reading to writing."""
    with open(path, "r+b", buffering=0) as file:
        data = with_lines(file.read(), number)
        pause()
        file.seek(0)
        file.truncate()
        file.write(data)


def append(path: Path, number: int) -> None:
    """As `>>`."""
    with open(path, "ab", buffering=0) as file:
        pause()
        file.write(line(number))


def rename(path: Path, number: int) -> None:
    """As vim, sed -i and most programs: a new file in the place of the old one."""
    data = with_lines(path.read_bytes(), number)
    other = path.with_name(path.name + "~")
    other.write_bytes(data)
    pause()
    os.rename(other, path)


def moved_away(path: Path, number: int) -> None:
    """As vim with backupcopy=no: for a moment there is no such file."""
    data = with_lines(path.read_bytes(), number)
    os.rename(path, path.with_name(path.name + "~"))
    pause()
    with open(path, "wb", buffering=0) as file:
        pause()
        file.write(data)
    os.unlink(path.with_name(path.name + "~"))


def emptied_first(path: Path, number: int) -> None:
    """As `: > FILE; cat COPY >> FILE`: for a moment it is empty, and nobody has it open."""
    data = with_lines(path.read_bytes(), number)
    with open(path, "wb"):
        pass
    pause()
    with open(path, "ab", buffering=0) as file:
        file.write(data)


def line(number: int) -> bytes:
    return b"# of an editor %d\n" % number


def with_lines(data: bytes, number: int) -> bytes:
    """DATA, with all lines of the editor up to NUMBER, as it has them in its memory."""
    lines = [line(each) for each in range(number + 1)]
    others = [each for each in data.splitlines(keepends=True) if each not in set(lines)]
    return b"".join([*others, *lines])


def pause() -> None:
    time.sleep(0.003)


MANNERS = {
    manner.__name__: manner
    for manner in (in_place, read_and_write, append, rename, moved_away, emptied_first)
}

if __name__ == "__main__":
    for round_number, seconds in enumerate(sys.stdin):
        time.sleep(float(seconds))
        MANNERS[sys.argv[1]](Path(sys.argv[2]), round_number)
        print(round_number, flush=True)

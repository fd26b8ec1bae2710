#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An editor that adds a line to a file again and again, saving it in one MANNER.

    editor.py MANNER FILE

Each line of input is a number of seconds: it waits that long, saves, and prints a line.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def in_place(path: Path, number: int) -> None:
    """Like `cat >`, or Ansible's lineinfile with unsafe_writes: truncate, then write in pieces."""
    data = with_lines(path.read_bytes(), number)
    with open(path, "wb", buffering=0) as file:
        pause()
        file.write(data[: len(data) // 2])
        pause()
        file.write(data[len(data) // 2 :])


def read_and_write(path: Path, number: int) -> None:
    """Like ed and others that keep the file open from reading to writing."""
    with open(path, "r+b", buffering=0) as file:
        data = with_lines(file.read(), number)
        pause()
        file.seek(0)
        file.truncate()
        file.write(data)


def append(path: Path, number: int) -> None:
    """Like `>>`."""
    with open(path, "ab", buffering=0) as file:
        pause()
        file.write(line(number))


def rename(path: Path, number: int) -> None:
    """Like vim, sed -i and most programs: a new file replaces the old one."""
    data = with_lines(path.read_bytes(), number)
    other = path.with_name(path.name + "~")
    other.write_bytes(data)
    pause()
    os.rename(other, path)


def moved_away(path: Path, number: int) -> None:
    """Like vim with backupcopy=no: for a moment the file does not exist."""
    data = with_lines(path.read_bytes(), number)
    os.rename(path, path.with_name(path.name + "~"))
    pause()
    with open(path, "wb", buffering=0) as file:
        pause()
        file.write(data)
    os.unlink(path.with_name(path.name + "~"))


def emptied_first(path: Path, number: int) -> None:
    """Like `: > FILE; cat COPY >> FILE`: for a moment it is empty, and no process has it open."""
    data = with_lines(path.read_bytes(), number)
    with open(path, "wb"):
        pass
    pause()
    with open(path, "ab", buffering=0) as file:
        file.write(data)


def line(number: int) -> bytes:
    return b"# of an editor %d\n" % number


def with_lines(data: bytes, number: int) -> bytes:
    """DATA with the editor's lines up to NUMBER, as they are in its memory."""
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

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Logs in blocks, whole, partial and compressed; and the output of programs."""

from __future__ import annotations

import asyncio
import gzip
import lzma
import os
import re
import tempfile
from pathlib import Path

import pytest

from nestd.host.collect.log_reader import LEAD, reader
from nestd.host.collect.spool import spool

TEXT = b"".join(b"line %06d\n" % number for number in range(50000))


def read(path: Path, limit: int) -> tuple[bytes, bytes, str]:
    """The heading, the kept part, read twice, and the note about what is cut."""
    with path.open("rb") as file:
        log = reader(file.fileno(), path.name, limit)
        once, again = b"".join(log.blocks()), b"".join(log.blocks())
        assert once == again
        return b"".join(log.lead()), once, log.cut


def test_a_whole_log(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(TEXT)
    assert read(path, len(TEXT)) == (b"", TEXT, "")


@pytest.mark.parametrize("limit", [0, 1, 11, 12, 13, 22, 1000, len(TEXT) - 1])
def test_the_end_of_a_log(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(TEXT)
    lead, kept, cut = read(path, limit)
    whole_lines = limit // 12
    assert kept == TEXT[len(TEXT) - 12 * whole_lines :]
    assert (lead + kept)[-LEAD:] == TEXT[-LEAD:]
    assert cut == f"the first {len(TEXT) - len(kept)} bytes"


def test_a_log_that_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * (4 << 20))
    assert read(path, 2 << 20)[1] == b""


def test_compressed(tmp_path: Path) -> None:
    packed = {"gz": gzip.compress(TEXT) + gzip.compress(TEXT), "xz": lzma.compress(TEXT + TEXT)}
    for ending, data in packed.items():
        path = tmp_path / f"a.log.1.{ending}"
        path.write_bytes(data)
        assert read(path, 10 << 20) == (b"", TEXT + TEXT, "")
        cut = "what follows the first 100000 bytes"
        assert read(path, 100000) == (b"", TEXT[:100000], cut)
        path.write_bytes(data[: len(data) // 3])
        _, kept, cut = read(path, 10 << 20)
        assert TEXT.startswith(kept[: len(TEXT)])
        assert cut == "what follows a damaged place"
        path.write_bytes(b"")
        assert read(path, 100)[1] == b""


def test_a_bomb_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    path.write_bytes(gzip.compress(bytes(100 << 20), 1))
    assert len(read(path, 1 << 20)[1]) == 1 << 20


def test_what_a_program_prints() -> None:
    def run(script: str, limit: int, only: str | None = None) -> tuple[bytes, str]:
        with tempfile.TemporaryFile() as file:
            pattern = None if only is None else re.compile(only.encode())
            command = ("sh", "-c", script)
            missing = asyncio.run(spool(*command, into=file, limit=limit, timeout=5, only=pattern))
            return os.pread(file.fileno(), 1 << 20, 0), missing

    assert run("echo one; echo two", 100) == (b"one\ntwo\n", "")
    assert run("echo one; echo two; printf owl", 100, "tw|ow") == (b"two\nowl", "")
    assert run("yes", 1000) == (b"y\n" * 500, "what follows the first 1000 bytes")
    assert run("echo a; exit 3", 100) == (b"a\n", "what sh failed to print, with status 3")
    # The end of output is not awaited if a program's child lives on.
    assert run("sleep 8 & yes", 1000)[1] == "what follows the first 1000 bytes"


def test_a_program_that_hangs() -> None:
    with tempfile.TemporaryFile() as file:
        command = ("sh", "-c", "echo one; exec sleep 60")
        missing = asyncio.run(spool(*command, into=file, limit=100, timeout=0.5, only=None))
        assert missing == "what sh did not print within 0.5 s"
        assert os.pread(file.fileno(), 100, 0) == b"one\n"


def test_a_program_that_is_not_there() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(FileNotFoundError):
        asyncio.run(spool("nestd-no-such", into=file, limit=1, timeout=1, only=None))

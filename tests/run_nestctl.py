# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl for tests: in this process, which is fast, or as a separate program."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from private_bus import die_with_parent

import nestd
from nestd.cli.main import main

CHECKOUT = Path(nestd.__file__).parents[1]
SECONDS = 120
COMMAND = [sys.executable, "-m", "nestd.cli"]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def nestctl(address: str, *arguments: str) -> Result:
    """Run it in this process, with the bus at ADDRESS as the system bus."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": address}
    with mock.patch.dict(os.environ, environment), redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse
            code = int(end.code or 0)
    return Result(code, _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def environment(**more: str) -> Mapping[str, str]:
    """The environment for nestctl as a program."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), **more}


def nestctl_program(*arguments: str, **variables: str) -> Result:
    """Run it as a program until it ends."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd="/",
    )
    return Result(done.returncode, done.stdout, done.stderr)


def start_nestctl(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start it as a program, output in one pipe."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        preexec_fn=die_with_parent,
    )

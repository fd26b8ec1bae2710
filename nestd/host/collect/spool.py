# SPDX-License-Identifier: LGPL-2.1-or-later
"""Spools a program's output to a file, so that large output takes no memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from typing import IO

from nestd.host.program import ENVIRONMENT

_CHUNK = 64 << 10


async def spool(
    *command: str, into: IO[bytes], limit: int, timeout: float, only: re.Pattern[bytes] | None
) -> str:
    """Run COMMAND and keep the lines that match ONLY, all if it is None.

    The program is killed after LIMIT bytes or TIMEOUT seconds. Returns a text on what is missing,
    or "". Raises OSError if the program cannot be run.
    """
    # A pipe of our own: since Python 3.11 asyncio's wait() also waits for EOF on its pipes, which
    # does not come while output is unread or a child of the program is alive.
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    with open(ours, "rb", buffering=0) as pipe:
        process = await _start(command, theirs)
        reader = asyncio.StreamReader(_CHUNK)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            missing = await asyncio.wait_for(_copy(reader, into, limit, only), timeout)
            status = 0 if missing else await asyncio.wait_for(process.wait(), timeout)
            if status:
                missing = f"what {command[0]} failed to print, with status {status}"
        except asyncio.TimeoutError:
            missing = f"what {command[0]} did not print within {timeout:g} s"
        finally:
            transport.close()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        into.flush()
        return missing


async def _start(command: tuple[str, ...], output: int) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.DEVNULL,
            env=ENVIRONMENT,
        )
    finally:
        os.close(output)


async def _copy(
    output: asyncio.StreamReader, into: IO[bytes], limit: int, only: re.Pattern[bytes] | None
) -> str:
    rest = b""  # the unfinished line, if lines are filtered
    left = limit
    while chunk := await output.read(_CHUNK):
        if only is not None:
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[:_CHUNK]
            chunk = b"".join(line + b"\n" for line in lines if only.search(line))
        into.write(chunk[:left])
        left -= len(chunk)
        if left < 0:
            return f"what follows the first {limit} bytes"
    if only is not None and only.search(rest):
        into.write(rest[:left])
    return ""

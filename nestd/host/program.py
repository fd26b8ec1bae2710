# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs programs asynchronously, with a time limit and a clean environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass

from nestd.formats.printable import printable

# MODPROBE_OPTIONS, LIBVIRT_* etc. in nestd's own environment must not reach a program.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_LONGEST_COMPLAINT = 1024  # characters


@dataclass(frozen=True)
class Result:
    """A program's exit status (negative: the signal that ended it) and its output."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def complaint(self) -> str:
        """The last line of stderr, printable, or the exit status in words."""
        lines = self.stderr.strip().split(b"\n")
        return printable(lines[-1].strip(), _LONGEST_COMPLAINT) or f"exit status {self.status}"


async def run(*command: str, timeout: float) -> Result:
    """Run COMMAND to its end. Raises FileNotFoundError, or TimeoutError after TIMEOUT seconds."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,  # a process group, killed together with its children
    )
    try:
        stdout, stderr = await asyncio.wait_for(process.communicate(), timeout)
    except asyncio.TimeoutError:
        raise TimeoutError(f"{command[0]} did not end within {timeout:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert process.returncode is not None
    return Result(process.returncode, stdout, stderr)

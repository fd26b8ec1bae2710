# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asks for a password on the terminal when polkit wants one, with polkit's own pkttyagent(1).

Like systemctl: the agent serves this process only, and polkit uses it only if there is no other,
such as a desktop's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_START_TIME = 22  # field of /proc/PID/stat, see proc(5)


@contextlib.contextmanager
def polkit_agent() -> Iterator[None]:
    """Run an agent on the terminal inside the with statement, if one can be useful."""
    program = shutil.which("pkttyagent")
    if program is None or os.geteuid() == 0 or not sys.stdin.isatty():
        yield
        return
    registered, notify = os.pipe()
    with open(registered, "rb", buffering=0) as ready:
        try:
            process = subprocess.Popen(command(program, notify), pass_fds=[notify])
        finally:
            os.close(notify)
        ready.read()  # ends when the agent has registered, or has given up
    try:
        yield
    finally:
        # It may be stopped: a background process that used the terminal.
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
        process.wait()


def command(program: str, notify: int) -> list[str]:
    """The command that starts the agent for this process."""
    subject = f"{os.getpid()},{start_time()}"
    return [program, "--process", subject, "--notify-fd", str(notify), "--fallback"]


def start_time() -> int:
    """The start time of this process, which distinguishes it from a later one with the same id."""
    # The name in parentheses may hold anything, spaces and parentheses included.
    rest = Path("/proc/self/stat").read_text(errors="replace").rpartition(")")[2]
    return int(rest.split()[_START_TIME - 3])

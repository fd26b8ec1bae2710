# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's nestd, started without a service manager."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

LOG = Path("/run/nestd.log")
NOTIFY = Path("/run/notify")
START_SECONDS = 120

_processes: list[subprocess.Popen[bytes]] = []


def start() -> None:
    """Starts it and waits until it is ready (READY=1)."""
    NOTIFY.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, LOG.open("ab") as output:
        ready.bind(str(NOTIFY))
        command = [sys.executable, "-m", "nestd", "--log-level", "debug"]
        environment = {**os.environ, "NOTIFY_SOCKET": str(NOTIFY)}
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        _processes.append(process)
        ready.settimeout(0.2)
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(socket.timeout):
                if b"READY=1" in ready.recv(4096):
                    return
    raise AssertionError(f"nestd did not get ready:\n{log()}")


def kill() -> None:
    """SIGKILL."""
    process = _processes.pop()
    process.kill()
    process.wait()


def log() -> str:
    """The end of its output."""
    return "\n".join(LOG.read_text(errors="replace").splitlines()[-40:])

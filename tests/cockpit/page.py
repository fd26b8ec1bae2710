# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page in Cockpit: cockpit-ws without systemd, PAM and TLS, over a private bus.

with cockpit(bus.address, dist, tmp_path) as url:
    browser_page.goto(url)
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tiers
from private_bus import die_with_parent

CHECKOUT = Path(__file__).parents[2]
SOURCE = CHECKOUT / "packaging/cockpit"


@dataclass(frozen=True)
class Bridge:
    """Cockpit's part on the host, one for each session."""

    program: str
    environment: Mapping[str, str] = field(default_factory=dict)


BRIDGE_IN_C = Bridge("/usr/bin/cockpit-bridge")
START_SECONDS = 20


def build(directory: Path) -> Path:
    """Build the page as for a release: npm packages by the lock file, then esbuild."""
    done = subprocess.run([SOURCE / "build", directory], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory


@contextmanager
def cockpit(
    address: str,
    page: Path,
    directory: Path,
    *,
    bridge: Bridge = BRIDGE_IN_C,
    user: int = 0,
) -> Iterator[str]:
    """Serve PAGE to one browser session; yields the server's URL.

    The session belongs to that user, and its system bus is ADDRESS. DIRECTORY is the user's home.
    """
    shutil.copytree(page, directory / "data/cockpit/nestd")
    port = free_port()
    program = shutil.which("cockpit-ws", path=tiers.SEARCH_PATH)
    assert program
    command = [
        program,
        f"--local-session={bridge.program}",
        "--address=127.0.0.1",
        f"--port={port}",
    ]
    variables = {name: value for name, value in os.environ.items() if "DBUS" not in name}
    variables = {
        **variables,
        "HOME": str(directory),
        "XDG_DATA_HOME": str(directory / "data"),
        "DBUS_SYSTEM_BUS_ADDRESS": address,
        "LC_ALL": "C.UTF-8",
        **bridge.environment,
    }
    with open(directory / "cockpit.log", "wb") as log:
        server = subprocess.Popen(
            command, env=variables, stdout=log, stderr=log, preexec_fn=die_with_parent, user=user
        )
    try:
        _wait_for(port, server, directory / "cockpit.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """A port of this machine that no program listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"cockpit-ws does not start: {log.read_text()}")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs nestd on a private message bus during one command: --standalone and --simulate.

It needs nothing but dbus-daemon. Both programs end with nestctl: it stops them when it exits, and
the kernel stops them if nestctl is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import nestd
from nestd.cli.service.client import Client
from nestd.cli.service.errors import CliError, Exit
from nestd.formats.simulation import Simulation

START_SECONDS = 30.0
# nestd finishes a reload in progress first.
STOP_SECONDS = 60.0

_PR_SET_PDEATHSIG = 1
_SEARCH_PATH = os.environ.get("PATH", os.defpath) + ":/usr/bin:/bin"

# Without <allow user> the bus admits only its own user.
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


@dataclass(frozen=True)
class PrivateService:
    """A private nestd. root is the directory of its host's files, None for this machine."""

    address: str
    root: Path | None
    simulation: Simulation | None


@contextlib.asynccontextmanager
async def private_service(
    simulation: Simulation | None, root: Path | None, *, show_log: bool = False
) -> AsyncIterator[PrivateService]:
    """Run dbus-daemon and nestd on a simulated host, on ROOT, or on this machine.

    Raises CliError if they do not start.
    """
    if simulation is None and root is None:
        await _check_alone()
    async with contextlib.AsyncExitStack() as stack:
        # Not below a directory of the user: socket paths must be short.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nestctl-")))
        log = directory / "log"
        if show_log:
            stack.callback(lambda: sys.stderr.write(log.read_text(errors="replace")))
        address = await _start_bus(stack, directory)
        if simulation is not None and root is None:
            root = directory / "host"
        command = [sys.executable, "-m", "nestd", "--bus", address]
        command += ["--simulate", str(simulation)] if simulation else []
        command += ["--root", str(root.resolve())] if root else []
        process = await _start(stack, command, _environment(), log)
        await _wait_until_ready(address, process, log)
        try:
            yield PrivateService(address, root, simulation)
        except CliError as error:
            if error.code is Exit.NOT_REACHABLE and process.returncode is not None:
                raise CliError(f"nestd has ended unexpectedly: {_last_line(log)}") from error
            raise


async def _check_alone() -> None:
    """Raises CliError if the system service runs: two nestd on one machine would conflict."""
    try:
        client = await Client.connect(None)
    except CliError:
        return  # no system bus: no service on it
    try:
        if await client.is_running():
            raise CliError(
                "nestd already runs on this machine as a system service.",
                "Leave out --standalone to use it.",
            )
    finally:
        client.close()


async def _start_bus(stack: contextlib.AsyncExitStack, directory: Path) -> str:
    """Start dbus-daemon; returns the address that it listens on."""
    program = shutil.which("dbus-daemon", path=_SEARCH_PATH)
    if program is None:
        raise CliError(
            "The program dbus-daemon is needed for this, and is not installed.",
            "Install it:\n"
            "  apt install dbus-daemon   # Debian, Ubuntu\n"
            "  dnf install dbus-daemon   # Fedora, RHEL",
        )
    config = directory / "bus.conf"
    config.write_text(_CONFIG.format(socket=directory / "bus"))
    command = [program, f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"]
    process = await _start(stack, command, dict(os.environ), directory / "bus.log", pipe=True)
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    if not address:
        raise CliError(f"dbus-daemon does not start: {_last_line(directory / 'bus.log')}")
    return address


async def _start(
    stack: contextlib.AsyncExitStack,
    command: Sequence[str],
    environment: dict[str, str],
    log: Path,
    *,
    pipe: bool = False,
) -> asyncio.subprocess.Process:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if pipe else output,
            stderr=output,
            # "python -m" searches the current directory first, which must not be the user's.
            cwd="/",
            env=environment,
            # Ctrl-C is for nestctl, which may have to clean up before they end.
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),
        )
    stack.push_async_callback(_stop, process)
    return process


def _environment() -> dict[str, str]:
    """This process's environment with this nestd first on the path, without systemd's variables."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    }
    paths = [str(Path(nestd.__file__).resolve().parents[1]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = ":".join(path for path in paths if path)
    return environment


def _die_with(parent: int) -> Callable[[], None]:
    """The first action of a new process: make the kernel end it if nestctl is killed."""
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


async def _wait_until_ready(address: str, process: asyncio.subprocess.Process, log: Path) -> None:
    client = await Client.connect(address)
    ready = asyncio.Event()
    ended = asyncio.ensure_future(process.wait())
    owned = asyncio.ensure_future(ready.wait())
    try:
        await client.on_owner(lambda up: ready.set() if up else None)
        if await client.is_running():
            return
        await asyncio.wait(
            {ended, owned}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not ready.is_set():
            raise CliError(f"nestd does not start: {_last_line(log)}")
    finally:
        ended.cancel()
        owned.cancel()
        client.close()


async def _stop(process: asyncio.subprocess.Process) -> int | None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    return await process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it gives no reason."

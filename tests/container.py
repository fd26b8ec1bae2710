# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers that run programs in a Debian root, or boot systemd in it.

Each container writes to its own directory (overlayfs): the root stays unchanged. All mounts are in
namespaces that end with their processes.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

BOOT_SECONDS = 60.0
COMMAND_SECONDS = 60.0
BUILD_SECONDS = 600.0
_MOUNT = 'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4" && shift 4'
# All capabilities, so that only nestd's own sandbox drops them.
_NSPAWN = (
    "systemd-nspawn",
    "--quiet",
    "--register=no",
    "--keep-unit",
    "--capability=all",
)
_ALONE = "--private-network"
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Overlay:
    """A writable root: LOWER stays unchanged; DIRECTORY, empty at first, gets the changes."""

    lower: Path
    directory: Path

    def inside(self, *command: str) -> list[str]:
        """The command that runs COMMAND on the host, with "ROOT" replaced by the root."""
        for name in ("upper", "work", "root"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        paths = [str(self.directory / name) for name in ("upper", "work", "root")]
        root = [word.replace("ROOT", paths[-1]) for word in command]
        script = f'{_MOUNT} && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", str(self.lower), *paths, *root]

    def run(self, *command: str, binds: tuple[str, ...] = ()) -> str:
        """Runs a program, which must succeed; returns its output."""
        mounts = [f"--bind-ro={bind}" for bind in binds]
        nspawn = [*_NSPAWN, _ALONE, _name(), "--pipe", *mounts, "--directory=ROOT"]
        done = subprocess.run(
            self.inside(*nspawn, *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_SECONDS,
            text=True,
            errors="replace",
            # A build needs more space and inodes than systemd-nspawn's tmpfs on /tmp has.
            env={**os.environ, "SYSTEMD_NSPAWN_TMPFS_TMP": "0"},
        )
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout


@dataclass(frozen=True)
class Container:
    """A booted container; LEADER is the PID of its systemd."""

    leader: int

    def run(self, *command: str, user: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a program in it, as root or as that user."""
        enter = [
            "nsenter",
            f"--target={self.leader}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
        ]
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
        return subprocess.run(
            [*enter, "--", *(drop if user else []), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )

    def output(self, *command: str, user: str = "") -> str:
        """The stdout of a program, which must succeed."""
        done = self.run(*command, user=user)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def property(self, name: str, unit: str = "nestd.service") -> str:
        """A property of a unit, as systemctl prints it."""
        return self.output("systemctl", "show", "--value", "--property", name, unit).strip()

    def write(self, path: str, text: str) -> None:
        """Writes a file in it."""
        file = self.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def file(self, path: str) -> Path:
        """A file in it, as a path on the host."""
        return Path(f"/proc/{self.leader}/root") / path.lstrip("/")


Boot = Callable[[Overlay], AbstractContextManager[Container]]


@contextmanager
def boot(
    overlay: Overlay, binds: tuple[str, ...] = (), *, private_network: bool = True
) -> Iterator[Container]:
    """Boots the root and waits until it is up; it is killed at the end, without a shutdown."""
    address = overlay.directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(address))
        notify.settimeout(BOOT_SECONDS)
        mounts = [f"--bind={bind}" for bind in binds]
        network = [_ALONE] if private_network else []
        nspawn = [*_NSPAWN, *network, _name(), "--boot", "--notify-ready=yes", *mounts]
        with open(overlay.directory / "console.log", "wb") as console:
            process = subprocess.Popen(
                overlay.inside(*nspawn, "--directory=ROOT"),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "NOTIFY_SOCKET": str(address)},
            )
        try:
            yield Container(_leader(notify))
        finally:
            _kill_tree(process.pid)
            process.wait()
            address.unlink()


def _kill_tree(pid: int) -> None:
    """Kills children first: the container's systemd would outlive systemd-nspawn otherwise."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            _kill_tree(int(child))
        os.kill(pid, signal.SIGKILL)


def _name() -> str:
    """The option for the machine name, which no other running machine may have."""
    return f"--machine=nestd-{os.getpid()}-{next(_NUMBERS)}"


def _leader(notify: socket.socket) -> int:
    """Reads systemd-nspawn's notifications: the PID, then readiness, forwarded from inside."""
    said = ""
    while not re.search("^READY=1$", said, re.MULTILINE):
        said += notify.recv(4096).decode() + "\n"
    [pid] = re.findall("^X_NSPAWN_LEADER_PID=(.*)$", said, re.MULTILINE)
    return int(pid)


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition becomes true in time; for state changes without a signal."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

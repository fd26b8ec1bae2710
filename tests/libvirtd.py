# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real libvirtd on the files of a directory: the one given to nestd as --root.

It has no drivers unless a test runs guests.

It runs in a mount namespace where /etc/libvirt, /run and /var/log are the directory's, so that it
starts as on any host and writes to none of this host's files.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from private_bus import die_with_parent

SECONDS = 20
_SCRIPT = """
set -e
mount --bind "$0/etc/libvirt" /etc/libvirt
mount --bind "$0/run" /run
mount --bind "$0/var/log" /var/log
for each in /var/lib /var/cache; do mount -t tmpfs none $each; done
exec libvirtd "$@"
"""


@dataclass
class Libvirtd:
    """Successive daemons; ROOT is a host tree with only the files that they need."""

    root: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    drivers: bool = False
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.root / "etc/libvirt/libvirtd.conf"

    @property
    def logs(self) -> Path:
        return self.root / "var/log/libvirt"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self.process is None
        socket = self.root / "run/libvirt/libvirt-admin-sock"
        socket.unlink(missing_ok=True)
        command = ["unshare", "--mount", "sh", "-c", _SCRIPT, str(self.root), *self.arguments]
        drivers = {} if self.drivers else {"LIBVIRT_DRIVER_DIR": str(self.root / "nowhere")}
        words = self.root / "libvirtd.stderr"  # not a pipe: a full one would block it
        with words.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **drivers, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + SECONDS
        while not socket.exists() or not (self.root / "run/libvirtd.pid").exists():
            if self.process.poll() is not None:
                self.process = None
                raise AssertionError(f"libvirtd does not start: {words.read_text()}")
            assert time.monotonic() < deadline, "libvirtd is not up"
            time.sleep(0.02)
        self.filters()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(timeout=SECONDS)
        self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def admin(self, *words: str) -> str:
        """The exact output of virt-admin."""
        uri = f"libvirtd:///system?socket={self.root}/run/libvirt/libvirt-admin-sock"
        done = subprocess.run(
            ["virt-admin", "-q", "-c", uri, *words],
            check=True,
            timeout=SECONDS,
            capture_output=True,
        )
        return done.stdout.decode().rstrip("\n")

    def filters(self) -> str:
        return self.admin("daemon-log-filters")

    def outputs(self) -> str:
        return self.admin("daemon-log-outputs")


def prepare(root: Path) -> Libvirtd:
    """Make the directories and a configuration; returns a libvirtd that is not started yet."""
    for directory in ("etc/libvirt", "run/libvirt", "var/log/libvirt", "usr/sbin"):
        (root / directory).mkdir(parents=True)
    (root / "usr/sbin/libvirtd").symlink_to("/usr/sbin/libvirtd")
    (root / "proc").symlink_to("/proc")
    libvirtd = Libvirtd(root)
    libvirtd.config.write_text('log_outputs = "3:file:/var/log/libvirt/libvirtd.log"\n')
    return libvirtd


@contextmanager
def running(root: Path) -> Iterator[Libvirtd]:
    """prepare() and start(); it is stopped at the end."""
    libvirtd = prepare(root)
    libvirtd.start()
    try:
        yield libvirtd
    finally:
        if libvirtd.process is not None:
            libvirtd.stop(signal.SIGKILL)

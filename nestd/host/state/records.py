# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records of running transactions, in a directory that does not survive a reboot."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import IO

from nestd.host.files import read_regular
from nestd.host.root import Root
from nestd.host.state.state_file import UNFINISHED, write_state_file

_DIRECTORY = "/run/nestd/transactions"
_LAST_JOB = "last-job"
_LOCK = "lock"
_SET_ASIDE = ".set-aside"


class Records:
    """One file per job, written atomically; the directory is 0700 since it holds file contents."""

    def __init__(self, root: Root) -> None:
        self._directory = root.at(_DIRECTORY)
        self.boot_id = _boot_id(root)
        self._last_job = 0
        self._lock: IO[bytes] | None = None

    def claim(self) -> bool:
        """Claim the records for this process until it exits or releases them.

        False if another process has them. True if the directory is not writable: no process can
        record there.
        """
        path = self._directory.with_name(_LOCK)
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._lock = path.open("ab")
        except OSError:
            return True
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EAGAIN, errno.EACCES)
        return True

    def release(self) -> None:
        """Let another process claim the records."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def next_job(self) -> int:
        """A new job number, unique since the boot."""
        path = self._directory.with_name(_LAST_JOB)
        with contextlib.suppress(OSError, ValueError):
            self._last_job = max(self._last_job, int(path.read_text("ascii")))
        self._last_job += 1
        with contextlib.suppress(OSError):  # the number then lasts until the next restart
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_state_file(path, f"{self._last_job}\n".encode())
        return self._last_job

    def write(self, job: int, record: bytes) -> None:
        """Write or overwrite the record of JOB. Raises OSError: see write_state_file()."""
        write_state_file(self._directory / str(job), record)

    def remove(self, job: int) -> None:
        """Remove the record of JOB."""
        (self._directory / str(job)).unlink(missing_ok=True)

    def read_all(self) -> dict[int, bytes]:
        """All records by job, oldest first; files left half-written by a crash are removed."""
        records = {}
        for name in _entries(self._directory):
            path = self._directory / name
            with contextlib.suppress(OSError):
                if name.isascii() and name.isdigit():
                    # A number is never reused, even if the counter was lost.
                    self._last_job = max(self._last_job, int(name))
                    records[int(name)] = path.read_bytes()
                elif path.suffix == UNFINISHED:
                    path.unlink()
        return dict(sorted(records.items()))

    def set_aside(self, job: int) -> None:
        """Keep the record of JOB for inspection, but never read it again."""
        path = self._directory / str(job)
        with contextlib.suppress(OSError):
            os.rename(path, path.with_suffix(_SET_ASIDE))


def _boot_id(root: Root) -> str:
    try:
        found = read_regular(root.at("/proc/sys/kernel/random/boot_id")) or b""
    except OSError:
        return ""
    return found.decode("ascii", "replace").strip()


def _entries(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []

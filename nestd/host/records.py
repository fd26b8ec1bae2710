# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records of running transactions, in a directory that dies with the boot."""

from __future__ import annotations

import contextlib
import os

from nestd.host.root import Root

_DIRECTORY = "/run/nestd/transactions"
_UNFINISHED = ".new"
_SET_ASIDE = ".set-aside"


class Records:
    """One file a job. Every write is atomic; the directory is 0700, for it holds file contents."""

    def __init__(self, root: Root) -> None:
        self._directory = root.at(_DIRECTORY)
        self.boot_id = _boot_id(root)

    def write(self, job: int, record: bytes) -> None:
        """Write or overwrite the record of JOB. Raises OSError and then changes nothing."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / str(job)
        temporary = path.with_suffix(_UNFINISHED)
        try:
            temporary.write_bytes(record)
            os.rename(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self, job: int) -> None:
        """Forget JOB."""
        (self._directory / str(job)).unlink(missing_ok=True)

    def read_all(self) -> dict[int, bytes]:
        """All records by job, oldest job first; what a crash left half written is removed."""
        records = {}
        with contextlib.suppress(OSError):
            for name in os.listdir(self._directory):
                path = self._directory / name
                if name.isdigit():
                    records[int(name)] = path.read_bytes()
                elif path.suffix == _UNFINISHED:
                    path.unlink()
        return dict(sorted(records.items()))

    def set_aside(self, job: int) -> None:
        """Keep the record for people to look at, but never read it again."""
        path = self._directory / str(job)
        with contextlib.suppress(OSError):
            os.rename(path, path.with_suffix(_SET_ASIDE))


def _boot_id(root: Root) -> str:
    try:
        return root.at("/proc/sys/kernel/random/boot_id").read_text("ascii", "replace").strip()
    except OSError:
        return ""

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A read lease (fcntl(2), F_SETLEASE), which keeps writers out while a file is read and replaced.

The kernel refuses the lease while anyone has the file open for writing. A process that later opens
it for writing blocks until the lease is released, and the holder can see that it waits.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from pathlib import Path
from types import TracebackType

WRITER_SECONDS = 0.5
"""Seconds to wait for a file that somebody has open for writing."""
_RECHECK_SECONDS = 0.005
# Errors of file systems without leases, and for another user's file without CAP_LEASE.
_UNSUPPORTED = (errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class Lease:
    """The file at PATH, open for reading and leased if the file system supports it.

    Raises OSError: ESTALE if somebody keeps it open for writing for more than PATIENCE seconds.
    """

    def __init__(self, path: Path, patience: float = WRITER_SECONDS) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            self._is_leased = self._take(time.monotonic() + patience)
        except BaseException:
            os.close(self.fd)
            raise

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.fd)  # releases the lease

    @property
    def is_wanted(self) -> bool:
        """Whether somebody is waiting to open the file for writing."""
        return self._is_leased and fcntl.fcntl(self.fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK

    def names(self, path: Path) -> bool:
        """Whether PATH is this same file."""
        ours = os.fstat(self.fd)
        try:
            theirs = os.lstat(path)
        except FileNotFoundError:
            return False
        return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)

    def _take(self, deadline: float) -> bool:
        # The signal for a waiting writer: an ignored one instead of SIGIO, which would kill.
        fcntl.fcntl(self.fd, fcntl.F_SETSIG, signal.SIGURG)
        while True:
            try:
                fcntl.fcntl(self.fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                return True
            except OSError as error:
                if error.errno in _UNSUPPORTED:
                    return False
                if error.errno != errno.EAGAIN:
                    raise
            if time.monotonic() > deadline:
                text = "is open for writing in another program"
                raise OSError(errno.ESTALE, text, str(self._path))
            time.sleep(_RECHECK_SECONDS)

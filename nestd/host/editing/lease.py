# SPDX-License-Identifier: LGPL-2.1-or-later
"""A read lease (fcntl(2), F_SETLEASE), which keeps writers out while a file is read and replaced.

The kernel refuses the lease while anyone has the file open for writing. A process that opens it for
writing later blocks until the lease is released, and the holder can see that it waits.
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
"""How long a file is waited for that somebody has open for writing."""
_RECHECK_SECONDS = 0.005
# Of a file system without leases, or a file of another user where we lack CAP_LEASE.
_UNSUPPORTED = (errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class Lease:
    """The file that PATH names, open for reading and leased where the file system can.

    Raises OSError: ESTALE where somebody has it open for writing for longer than PATIENCE seconds.
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
        os.close(self.fd)  # which gives the lease back

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits to open the file for writing."""
        return self._is_leased and fcntl.fcntl(self.fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK

    def names(self, path: Path) -> bool:
        """Whether PATH names this very file."""
        ours = os.fstat(self.fd)
        try:
            theirs = os.lstat(path)
        except FileNotFoundError:
            return False
        return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)

    def _take(self, deadline: float) -> bool:
        # The signal that tells of somebody who waits: one that is ignored, not SIGIO, which kills.
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

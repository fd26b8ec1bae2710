# SPDX-License-Identifier: LGPL-2.1-or-later
"""The only writer of nestd's state files, below /run/nestd and /var/lib/nestd."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from nestd.host.files import sync_directory

UNFINISHED = ".new"
"""Suffix of temporary files, which a crash may leave half-written."""


def write_state_file(path: Path, data: bytes) -> None:
    """Write or overwrite PATH atomically and durably; a missing directory is created.

    Uses a temporary file, fsync(2), rename(2) and fsync(2) of the directory. Raises OSError with
    the old bytes in place, or the new ones if only the last step failed. Blocks on disk I/O.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(path.name + UNFINISHED)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is to be undone in libvirt daemons, in a directory that dies with the boot."""

from __future__ import annotations

import contextlib
import logging
import os

from nestd.host.files import read_regular
from nestd.host.root import Root

_DIRECTORY = "/run/nestd/logs"
_UNFINISHED = ".new"
_LIMIT = 4 << 20  # bytes

log = logging.getLogger(__name__)


class UndoRecords:
    """One file for a name such as "virtqemud.debug". Every write is atomic."""

    def __init__(self, root: Root) -> None:
        self._directory = root.at(_DIRECTORY)

    def write(self, name: str, record: bytes) -> None:
        """Write or overwrite the record NAME. Raises OSError and then changes nothing."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / name
        temporary = self._directory / (name + _UNFINISHED)
        try:
            temporary.write_bytes(record)
            os.rename(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def read(self, name: str) -> bytes | None:
        """The record NAME, None where there is none that can be read."""
        try:
            return read_regular(self._directory / name, _LIMIT)
        except OSError as error:
            log.warning("%s cannot be read and is ignored: %s", self._directory / name, error)
            return None

    def remove(self, name: str) -> None:
        """Forget the record NAME. Never raises: what stays is undone twice at worst."""
        try:
            (self._directory / name).unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("%s cannot be removed: %s", self._directory / name, error.strerror)

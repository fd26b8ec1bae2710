# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records of changes to undo in libvirt daemons, in a directory that does not survive a reboot."""

from __future__ import annotations

import logging

from nestd.host.files import read_regular
from nestd.host.root import Root
from nestd.host.state.state_file import UNFINISHED, write_state_file

_DIRECTORY = "/run/nestd/logs"
_LIMIT = 4 << 20  # bytes

log = logging.getLogger(__name__)


class UndoRecords:
    """One file per name, such as "virtqemud.debug". Every write is atomic."""

    def __init__(self, root: Root) -> None:
        self._directory = root.at(_DIRECTORY)

    def write(self, name: str, record: bytes) -> None:
        """Write or overwrite the record NAME. Raises OSError: see write_state_file()."""
        write_state_file(self._directory / name, record)

    def read(self, name: str) -> bytes | None:
        """The record NAME of an earlier process, None if none is readable.

        A file left half-written by a kill is removed.
        """
        try:
            (self._directory / (name + UNFINISHED)).unlink(missing_ok=True)
            return read_regular(self._directory / name, _LIMIT)
        except OSError as error:
            log.warning("%s cannot be read and is ignored: %s", self._directory / name, error)
            return None

    def remove(self, name: str) -> None:
        """Remove the record NAME. Never raises: at worst the change is undone twice."""
        try:
            (self._directory / name).unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("%s cannot be removed: %s", self._directory / name, error.strerror)

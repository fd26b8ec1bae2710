# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the processor's features from libvirt's live XML of running domains."""

from __future__ import annotations

import logging
import os
from collections.abc import Set
from pathlib import Path

from nestd.formats.libvirt_xml import live_domain
from nestd.formats.libvirt_xml.domain_xml import Domain
from nestd.formats.libvirt_xml.safe_xml import XmlError
from nestd.host import fingerprint
from nestd.host.fingerprint import Fingerprint

_READ_BYTES = 256 << 10  # <cpu> precedes the devices, of which there may be many

log = logging.getLogger(__name__)


class LiveDomains:
    """Reads status files; an unchanged file is not read again.

    libvirt replaces such a file as a whole (virXMLSaveFile), so each version has its own inode.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Fingerprint, Domain | None]] = {}

    def read(self, pid: int, path: Path) -> Domain | None:
        """The domain of the process PID, None if its file PATH cannot be read."""
        known = self._known.get(pid)
        try:
            if known is not None and known[0] == fingerprint.of(os.stat(path)):
                return known[1]
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self._known.pop(pid, None)
            return None
        try:
            now = fingerprint.of(os.fstat(fd))
            self._known[pid] = (now, _parse(path, os.read(fd, _READ_BYTES)))
        except OSError:
            return None
        finally:
            os.close(fd)
        return self._known[pid][1]

    def forget_all_but(self, pids: Set[int]) -> None:
        """Forget all processes except PIDS."""
        self._known = {pid: known for pid, known in self._known.items() if pid in pids}


def _parse(path: Path, data: bytes) -> Domain | None:
    try:
        return live_domain.parse(data.decode("utf-8", "replace"))
    except XmlError as error:
        log.debug("%s is left out: %s", path, error)
        return None

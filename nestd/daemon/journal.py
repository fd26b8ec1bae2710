# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sends log records to systemd's journal in its native protocol.

See https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. A record becomes one entry with structured
fields. Sending never blocks.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import logging
import os
import re
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from nestd.core.journal_events import NOTICE

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "nestd"
_TOO_LARGE = (errno.EMSGSIZE, errno.ENOBUFS)
# Valid names of extra fields; the journal drops others.
_FIELD = re.compile("[A-Z][A-Z0-9_]{0,63}")
_PRIORITIES = (  # of syslog(3), each with the lowest level that has it
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (NOTICE, 5),
    (logging.INFO, 6),
)
_DEBUG = 7


def is_there() -> bool:
    """Whether entries can be sent to a journal."""
    return SOCKET.exists()


def is_stderr() -> bool:
    """Whether stderr is connected to the journal (systemd.exec(5), $JOURNAL_STREAM)."""
    with contextlib.suppress(OSError):
        status = os.fstat(2)
        return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    return False


class JournalHandler(logging.Handler):
    """Sends records to journald. Neither raises nor blocks: entries are lost if its buffer is full.

    If journald is gone, records go to FALLBACK.
    """

    def __init__(self, path: Path, fallback: logging.Handler) -> None:
        super().__init__()
        self._path = str(path)
        self._fallback = fallback
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        try:
            self._send(encode(self._fields(record)))
        except BlockingIOError:
            pass
        except OSError:
            self._fallback.handle(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """See logging.Handler."""
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        fields = {
            "MESSAGE": self.format(record),
            "PRIORITY": str(_priority(record.levelno)),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
        }
        more: Mapping[str, str] = getattr(record, "journal_fields", {})
        fields.update((name, value) for name, value in more.items() if _FIELD.fullmatch(name))
        return fields

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, self._path)
        except OSError as error:
            if error.errno not in _TOO_LARGE:
                raise
            self._send_sealed(entry)

    def _send_sealed(self, entry: bytes) -> None:
        """Send an entry that is too large for a datagram, in a sealed memfd."""
        fd = os.memfd_create("nestd-journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(entry)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
            self._socket.sendmsg([], [rights], 0, self._path)
        finally:
            os.close(fd)


def encode(fields: Mapping[str, str]) -> bytes:
    """Encode an entry: NAME=value lines, or NAME, newline, 64-bit little-endian length, value."""
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "backslashreplace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


def _priority(level: int) -> int:
    return next((priority for least, priority in _PRIORITIES if level >= least), _DEBUG)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel messages during an operation: only they say why a module did not load."""

from __future__ import annotations

import os
from types import TracebackType

from nestd.formats.printable import printable
from nestd.host.root import Root

_RECORD_BYTES = (
    8192  # one read(2) of /dev/kmsg gives one record; more than this is cut by the kernel
)
_LONGEST_MESSAGE = 1024  # characters; the kernel's own limit is about that


class KernelLog:
    """The messages since the with statement was entered; none if /dev/kmsg is not readable."""

    def __init__(self, root: Root) -> None:
        self._path = root.at("/dev/kmsg")
        self._fd: int | None = None

    def __enter__(self) -> KernelLog:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self.__exit__(None, None, None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def about(self, *words: str) -> tuple[str, ...]:
        """The messages that contain one of WORDS ("kvm_amd", ...), oldest first."""
        messages = []
        while self._fd is not None:
            try:
                record = os.read(self._fd, _RECORD_BYTES)
            except BrokenPipeError:  # records were overwritten before they were read
                continue
            except OSError:
                break
            if not record:
                break
            # "level,sequence,time,flags;message\n KEY=value" (Documentation/ABI/testing/dev-kmsg)
            text = record.partition(b";")[2].split(b"\n", 1)[0]
            message = printable(text, _LONGEST_MESSAGE)
            if any(word in message for word in words):
                messages.append(message)
        return tuple(messages)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Detects the end of a process that is not our child: pidfd_open(2) on the event loop."""

from __future__ import annotations

import asyncio
import os
from typing import Callable


class ProcessExit:
    """Calls CALLBACK once when the process PID ends. Raises OSError if it cannot be watched."""

    def __init__(self, pid: int, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._fd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._fd, self._ended)

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _ended(self) -> None:
        self.close()
        self._callback()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Delays a shutdown during a reload, if systemd-logind is available.

https://systemd.io/INHIBITOR_LOCKS: a "delay" lock lasts as long as its descriptor is open, but at
most InhibitDelayMaxSec (5 s by default).
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError

_NAME = "org.freedesktop.login1"
_PATH = "/org/freedesktop/login1"
_MANAGER = "org.freedesktop.login1.Manager"
_SECONDS = 2.0  # so that a slow logind does not hold up a reload

log = logging.getLogger(__name__)


class ShutdownDelay:
    """Takes and releases the lock, on a separate connection: nestd's main connection accepts no
    descriptors.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lock inside the with statement; hold none without logind."""
        lock = await self._take()
        try:
            yield
        finally:
            if lock is not None:
                os.close(lock)

    async def _take(self) -> int | None:
        words = ("shutdown", "nestd", "A KVM module is being reloaded", "delay")
        try:
            connection = await Connection.connect(
                self._address, timeout=_SECONDS, take_descriptors=True
            )
        except (OSError, BusError) as error:
            log.warning("No connection for logind's shutdown lock: %s", error)
            return None
        try:
            [lock] = await connection.call(
                _NAME,
                _PATH,
                _MANAGER,
                "Inhibit",
                "ssss",
                words,
                timeout=_SECONDS,
                take_descriptor=True,
            )
        except BusError as error:
            log.debug("No shutdown lock of logind's: %s", error)
            return None
        finally:
            connection.close()
        assert isinstance(lock, int)
        return lock

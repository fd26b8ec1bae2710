# SPDX-License-Identifier: LGPL-2.1-or-later
"""sd_notify(3) and the watchdog, if a service manager requests them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket


def notify(*assignments: str) -> None:
    """Send assignments such as "READY=1" to the service manager. Does nothing without one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_UNIX, kind) as sock, contextlib.suppress(OSError):
        sock.sendto("\n".join(assignments).encode(), address)


def watchdog_seconds() -> float:
    """The interval of WATCHDOG=1 in seconds, half of the limit; 0 without a watchdog."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or pid != str(os.getpid()):
        return 0.0
    return int(microseconds) / 1e6 / 2


def start_watchdog() -> None:
    """Send WATCHDOG=1 from the event loop, so that systemd restarts nestd if the loop hangs."""
    seconds = watchdog_seconds()
    if not seconds:
        return
    loop = asyncio.get_running_loop()

    def ping() -> None:
        notify("WATCHDOG=1")
        loop.call_later(seconds, ping)

    ping()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's uevents about modules and KVM, through pyudev.

The source is the kernel's multicast group, not udev's: every event is only a hint to read again, no
udev property is used, and udev's copies were seen to arrive seconds late and out of order while
many machines started and ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Callable

import pyudev

from nestd.host.kernel.interface import Change, KernelEvent

RECEIVE_BUFFER = 1 << 20  # bytes; enough for 600 events of KVM, unlike 64 KiB
EVENTS_PER_TURN = 64


class UeventWatch:
    """Calls CALLBACK for each hint, in the running event loop, until close()."""

    def __init__(self, callback: Callable[[KernelEvent], None]) -> None:
        self._callback = callback
        self._monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
        self._monitor.filter_by("module")
        self._monitor.filter_by("misc")
        self._monitor.filter_by("cpu")  # a new processor makes udev load KVM's modules
        with contextlib.suppress(OSError):  # without CAP_NET_ADMIN: LOST occurs sooner
            self._monitor.set_receive_buffer_size(RECEIVE_BUFFER)
        self._monitor.start()
        # A second descriptor of the same socket for reading its error; see _ready().
        self._socket = socket.socket(fileno=os.dup(self._monitor.fileno()))
        asyncio.get_running_loop().add_reader(self._monitor.fileno(), self._ready)

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._monitor.fileno())
        self._socket.close()

    def _ready(self) -> None:
        for _ in range(EVENTS_PER_TURN):
            try:
                device = self._monitor.poll(timeout=0)
            except OSError:
                # ENOBUFS: the kernel dropped events. pyudev sees POLLERR but never reads the error,
                # so that the descriptor would stay readable forever.
                self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                self._callback(KernelEvent(Change.LOST))
                return
            if device is None:
                return
            event = _hint(device)
            if event is not None:
                self._callback(event)


def _hint(device: pyudev.Device) -> KernelEvent | None:
    if device.subsystem == "module":
        return KernelEvent(Change.MODULE, module=device.sys_name)
    if device.subsystem == "cpu":
        return KernelEvent(Change.PROCESSOR)
    if device.sys_name != "kvm":
        return None
    properties = device.properties
    return KernelEvent(
        Change.MACHINES,
        created=_number(properties.get("CREATED")),
        count=_number(properties.get("COUNT")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The virtualization that this host runs under, and its processor's features."""

from __future__ import annotations

import asyncio
import io

from nestd.host import program
from nestd.host.files import open_regular, read_regular
from nestd.host.machine.below import by_firmware
from nestd.host.machine.processor import read_processor
from nestd.host.root import Root

_SECONDS = 10.0


async def host_virtualization(root: Root) -> str:
    """The virtualization as named by systemd-detect-virt(1); "none" on bare metal.

    For another machine's files (--root), /proc and firmware data below the root are used.
    """
    if not root.is_this_machine:
        return await asyncio.to_thread(_by_files, root)
    try:
        answer = await program.run("systemd-detect-virt", timeout=_SECONDS)
    except (OSError, TimeoutError):
        return "vm-other" if "hypervisor" in cpu_flags(root) else "none"
    return answer.stdout.decode("ascii", "replace").strip() or "none"


def _by_files(root: Root) -> str:
    if b"microsoft-standard-wsl" in _text(root, "/proc/version").lower():
        return "wsl"
    processor = read_processor(root)
    if processor.platform == "pSeries":  # a PowerVM partition or a KVM guest
        return "powervm"
    found = by_firmware(root) if "hypervisor" in processor.flags else "none"
    return found or "vm-other"


def _text(root: Root, path: str) -> bytes:
    try:
        return read_regular(root.at(path)) or b""
    except OSError:
        return b""


def cpu_flags(root: Root) -> frozenset[str]:
    """The flags (x86) or features (s390x) of the first processor in /proc/cpuinfo."""
    try:
        with open_regular(root.at("/proc/cpuinfo")) or io.BytesIO() as file:
            for line in file:
                key, _, value = line.decode("ascii", "replace").partition(":")
                if key.strip() in ("flags", "features"):
                    return frozenset(value.split())
    except OSError:
        pass
    return frozenset()

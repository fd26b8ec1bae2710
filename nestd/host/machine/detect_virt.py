# SPDX-License-Identifier: LGPL-2.1-or-later
"""What this host itself runs in, and what its processor can do."""

from __future__ import annotations

import io

from nestd.host import program
from nestd.host.files import open_regular
from nestd.host.root import Root

_SECONDS = 10.0


async def host_virtualization(root: Root) -> str:
    """As systemd-detect-virt(1) names it; "none" on bare metal and for another machine's files."""
    if not root.is_this_machine:
        return "none"
    try:
        answer = await program.run("systemd-detect-virt", timeout=_SECONDS)
    except (OSError, TimeoutError):
        return "vm-other" if "hypervisor" in cpu_flags(root) else "none"
    return answer.stdout.decode("ascii", "replace").strip() or "none"


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

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Other load on this machine during a measurement."""

from __future__ import annotations

import os
from pathlib import Path


class Noise:
    """The load from now until told()."""

    def __init__(self) -> None:
        self._before = _jiffies()

    def told(self) -> str:
        """The share of processor time that others took (steal included), and the load average."""
        now = _jiffies()
        user, nice, system, idle, iowait, irq, softirq, steal = (
            after - before for after, before in zip(now, self._before)
        )
        whole = sum((user, nice, system, idle, iowait, irq, softirq, steal)) or 1
        load = os.getloadavg()[0]
        return (
            f"{os.cpu_count()} processors, {100 * (idle + iowait) // whole} % idle,"
            f" {100 * steal // whole} % stolen, load {load:.1f}"
        )


def _jiffies() -> list[int]:
    return list(map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]))

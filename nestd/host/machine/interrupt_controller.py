# SPDX-License-Identifier: LGPL-2.1-or-later
"""The version of an arm64 host's generic interrupt controller (GIC)."""

from __future__ import annotations

import re

from nestd.host.files import read_regular
from nestd.host.root import Root

_PATH = "/proc/interrupts"
_MOST_BYTES = 1 << 20
# The chip names in it (drivers/irqchip); older kernels call a GICv2 "GIC-0".
_CHIP = re.compile(rb"\sGIC(?:v(\d)(?:-\S+)?|-\d+)\s")
_OLD = 2


def gic_version(root: Root) -> int:
    """The version, the highest if several names occur; 0 if unknown."""
    try:
        data = read_regular(root.at(_PATH), _MOST_BYTES) or b""
    except OSError:
        return 0
    return max((int(found or _OLD) for found in _CHIP.findall(data)), default=0)

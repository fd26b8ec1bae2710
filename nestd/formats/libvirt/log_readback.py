# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text to set so that a libvirt daemon reports exactly what it reported before.

libvirt adds a star on either side of each pattern that is set (virLogFilterNew), and drops a
leading "+": setting the reported text as it is would add a pair of stars each time.
"""

from __future__ import annotations

import re

_FILTER = re.compile(r"([1-4]:)\*(.+)\*")


def filters_to_set(reported: str) -> str:
    """The text for filters that virt-admin printed, such as "1:*qemu* 3:*remote* "."""
    return " ".join(_to_set(item) for item in reported.split(" ") if item)


def outputs_to_set(reported: str) -> str:
    """The text for outputs that virt-admin printed: one blank for none, since "" is the default."""
    return reported.strip(" ") or " "


def _to_set(item: str) -> str:
    found = _FILTER.fullmatch(item)
    if found is None:
        return item  # from a version before 4.4.0, which adds none
    plus = "+" if found[2].startswith("+") else ""
    return f"{found[1]}{plus}{found[2]}"

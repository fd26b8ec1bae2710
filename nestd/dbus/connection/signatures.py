# SPDX-License-Identifier: LGPL-2.1-or-later
"""Types in a signature, handled without a tree of them."""

from __future__ import annotations

ALIGNMENT = {
    **dict.fromkeys("ygv", 1),
    **dict.fromkeys("nq", 2),
    **dict.fromkeys("biusoah", 4),
    **dict.fromkeys("xtd({", 8),
}


def end_of_type(signature: str, at: int) -> int:
    """The end of the type that begins at offset AT."""
    while signature[at] == "a":
        at += 1
    depth = 0
    while True:
        depth += (signature[at] in "({") - (signature[at] in ")}")
        at += 1
        if not depth:
            return at

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The filter options shared by log_filters and debug_session."""

from __future__ import annotations

OPTIONS = {
    "filters": {"type": "list", "elements": "str"},
    "preset": {"type": "str"},
    "outputs": {"type": "list", "elements": "str"},
}


def words(given):
    """The arguments of nestctl log set and log debug from the options of a task."""
    found = []
    if given["preset"] is not None:
        found += ["--preset", given["preset"]]
    elif given["filters"] is not None:
        found += _items(given["filters"]) or ["--clear"]
    if given["outputs"] is not None:
        found += ["--outputs", " ".join(_items(given["outputs"]))]
    return found


def _items(given):
    """The single items, also from texts that hold several."""
    return [item for text in given for item in text.split()]

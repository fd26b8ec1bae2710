# SPDX-License-Identifier: LGPL-2.1-or-later
"""What log_filters and debug_session share: filters as they are given, and a daemon's state."""

from __future__ import annotations

from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import BUSY, Refused

OPTIONS = {
    "filters": {"type": "list", "elements": "str"},
    "preset": {"type": "str"},
    "outputs": {"type": "list", "elements": "str"},
}
_UNAVAILABLE = "org.nestd1.Error.DaemonUnavailable"


def words(given):
    """The arguments of nestctl log set and log debug for the options of a task."""
    found = []
    if given["preset"] is not None:
        found += ["--preset", given["preset"]]
    elif given["filters"] is not None:
        found += _items(given["filters"]) or ["--clear"]
    if given["outputs"] is not None:
        found += ["--outputs", " ".join(_items(given["outputs"]))]
    return found


def wanted_filters(nestctl, given):
    """The filters in one text; a preset's are nestctl's to tell."""
    if given["preset"] is None:
        return " ".join(_items(given["filters"] or []))
    presets = nestctl.json("log", "presets")["presets"]
    return next((each["filters"] for each in presets if each["name"] == given["preset"]), "")


def wanted_outputs(given):
    """The outputs in one text, None where they are to stay as they are."""
    return None if given["outputs"] is None else " ".join(_items(given["outputs"]))


def show(nestctl, daemon):
    """One daemon's state. Raises Refused for one that is not there."""
    return nestctl.json("log", "show", daemon)["log_daemons"][0]


def check_running(daemon):
    """Raise what nestd refuses with where the daemon does not run and no socket starts it."""
    if not (daemon["active"] or daemon.get("activation") == "socket"):
        name = daemon["name"]
        raise Refused(_UNAVAILABLE, f"{name} does not run.")


def check_no_session(daemon):
    """Raise what nestd refuses with while a debug session runs."""
    if daemon["debug_until"]:
        name = daemon["name"]
        raise Refused(BUSY, f"{name} has a debug session: only its next start can be set now.")


def _items(given):
    """One item each, also where several stand in one text."""
    return [item for text in given for item in text.split()]

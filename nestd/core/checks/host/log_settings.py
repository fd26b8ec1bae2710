# SPDX-License-Identifier: LGPL-2.1-or-later
"""Log settings of libvirt's daemons that differ from the defaults."""

from __future__ import annotations

from collections.abc import Iterable

from nestd.core.checks.finding import Finding, note, warn
from nestd.core.logs.settings.state import LogState
from nestd.formats.libvirt import log_filters

_ID = "libvirt-logs"


def log_settings(states: Iterable[LogState]) -> Finding | None:
    """One finding about all daemons; None if none logs more than libvirt's defaults."""
    warnings, notes = [], []
    for state in states:
        warnings += [f"{state.name}: {each}" for each in state.warnings]
        if state.config.filters:
            filters = log_filters.canonical(state.config.filters)
            notes.append(f"{state.config_file} has {state.name} log {filters}.")
        elif state.config.level:
            notes.append(f"{state.config_file} sets log_level = {state.config.level}.")
    if warnings:
        return warn(_ID, " ".join([*notes, *warnings]), "To see all of it: nestctl log show")
    if notes:
        return note(_ID, " ".join(notes), "To log libvirt's defaults again: nestctl log set --help")
    return None

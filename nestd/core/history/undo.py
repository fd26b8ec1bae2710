# SPDX-License-Identifier: LGPL-2.1-or-later
"""The values replaced by a change, so that the same method can restore them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from nestd.core.history.entry import Undo, digest

if TYPE_CHECKING:
    from nestd.core.changes.change import Change
    from nestd.core.logs.change import LogChange

FILTERS, OUTPUTS = "filters", "outputs"


def undo_of(change: Change) -> Undo | None:
    """For SetParameters: the previous values in kvm.conf; None if it was not edited."""
    if not change.edits:
        return None
    return Undo(MappingProxyType(dict(change.replaced)), change.path, digest(change.data))


def undo_of_logs(change: LogChange) -> Undo | None:
    """For SetFilters: the previous filters and outputs; None if the file was not edited."""
    if change.file is None or not change.edits:
        return None
    from nestd.core.logs.settings.state import read_config
    from nestd.formats.libvirt import log_filters, log_outputs

    config = read_config(change.file.old, change.path)
    before = {FILTERS: log_filters.canonical(config.filters)}
    if change.settings.outputs is not None:
        before[OUTPUTS] = log_outputs.canonical(config.outputs)
    return Undo(MappingProxyType(before), change.path, digest(change.file.data))

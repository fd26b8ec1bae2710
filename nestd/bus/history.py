# SPDX-License-Identifier: LGPL-2.1-or-later
"""The history in the form that org.nestd1.Manager returns."""

from __future__ import annotations

from nestd.core.history.entry import Entry
from nestd.core.history.history import History
from nestd.dbus.values import Variant


async def events(history: History, uid: int, *, sees_all: bool) -> list[dict[str, Variant]]:
    """The history as aa{sv}, newest first. Without SEES_ALL only UID's own entries have details."""
    return [
        await _event(history, each, private=sees_all or each.uid == uid) for each in history.entries
    ]


async def _event(history: History, entry: Entry, *, private: bool) -> dict[str, Variant]:
    """One entry as a{sv}; with its details (who, what was asked, error, undo) if PRIVATE."""
    reply = {
        "time": Variant("t", entry.time),
        "kind": Variant("s", entry.kind.value),
        "subject": Variant("s", entry.subject),
        "result": Variant("s", entry.result.value),
    }
    if not private:
        return reply
    if entry.uid is not None:
        reply["uid"] = Variant("u", entry.uid)
    reply["asked"] = Variant("s", entry.asked)
    reply["error"] = Variant("s", entry.error)
    if entry.undo is not None:
        reply["before"] = Variant("a{ss}", dict(entry.undo.before))
        reply["undoable"] = Variant("b", await history.undoable(entry))
    return reply

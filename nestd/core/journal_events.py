# SPDX-License-Identifier: LGPL-2.1-or-later
"""The events that an administrator may look for in the journal, each with a stable identity.

log.log(NOTICE, "kvm_intel was reloaded", extra=about(Event.RELOAD_DONE, module="kvm_intel", ...))

is an ordinary log line. In systemd's journal it also has the fields (NESTD_MODULE=kvm_intel etc.)
and the MESSAGE_ID, under which systemd/nestd.catalog explains it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum

NOTICE = (logging.INFO + logging.WARNING) // 2
"""The level of normal but significant messages, as in syslog(3)."""
PREFIX = "NESTD_"
OURSELVES = 0
"""The caller's user id for nestd's own actions, which it does as root."""


class Event(Enum):
    """Each event's MESSAGE_ID and the names of its journal fields; see Event.fields."""

    VALUE_CHANGED = (
        "a52eaabe6fa74d6e8ce647c561044a98",
        ("module", "parameters", "file", "caller_uid"),
    )
    RELOAD_DONE = "1564ed3ced39490fada0879868a28308", ("module", "job", "caller_uid")
    RELOAD_REFUSED = "d26751be705f48bb90c1e719e9b70a18", ("module", "job", "caller_uid")
    RELOAD_ROLLED_BACK = "60ee206026e24241a500b01209394458", ("module", "job", "caller_uid")
    RELOAD_FAILED = "4d54c69486234015a622a519008c07c0", ("module", "job", "caller_uid")
    NOT_RESTORED = "6f29deb8b4644411a09becb2ef0ec928", ("subject", "caller_uid")
    MODULE_UNLOADED = "73d5460927404816a463d0d17746a5e9", ("module", "job", "caller_uid")
    MODULE_LOADED = "b752343af4d44d18bb60eb5075f23723", ("module", "caller_uid")
    JOB_CANCELLED = "fd69f73f950f433e81e1dc7276fc81bf", ("module", "job", "caller_uid")
    RECORD_SET_ASIDE = "c3c77d8e659b46e789f72fe22f823ff1", ("job",)
    DRIFT_FOUND = "1b44a5d164e64d4bbca2338c75644e8d", ("module", "file", "policy")
    FILTERS_CHANGED = (
        "719deacdfe294efca33ba5e3c82af497",
        ("daemon", "when", "filters", "outputs", "file", "caller_uid"),
    )
    DEBUG_STARTED = "e4a094a10bbb440c9d73c3ebf3f82fa1", ("daemon", "filters", "caller_uid")
    DEBUG_ENDED = "7087c461533a46b1a1cc2495098f288d", ("daemon", "caller_uid")
    LOGS_COLLECTED = "f58c0e43b61845e3ad8e2bd91c7e6c77", ("caller_uid",)
    LOG_CONTROLLED = "5267341ed38a4b519b62047d3b593812", ("property", "value", "caller_uid")
    SETTINGS_WRONG = "3838c6dcd6c842b6b534cdffc01842c3", ("file", "line", "key")

    def __init__(self, message_id: str, names: tuple[str, ...]) -> None:
        self.message_id = message_id
        self._names = names

    @property
    def fields(self) -> tuple[str, ...]:
        """The journal fields of every entry of this event."""
        return tuple(PREFIX + name.upper() for name in self._names)


def not_restored(subject: str, caller_uid: int) -> Mapping[str, object]:
    """The "extra" for an entry about a partly undone change of SUBJECT, a module or daemon."""
    return about(Event.NOT_RESTORED, subject=subject, caller_uid=caller_uid)


def about(event: Event, **fields: object) -> Mapping[str, object]:
    """The "extra" for the logging call that reports EVENT, with all its fields as keywords."""
    named = {PREFIX + name.upper(): str(value) for name, value in fields.items()}
    return {"journal_fields": {"MESSAGE_ID": event.message_id, **named}}

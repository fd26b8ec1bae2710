# SPDX-License-Identifier: LGPL-2.1-or-later
"""The target and level of nestd's own log; both can be changed while nestd runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection

from nestd.core.journal_events import NOTICE
from nestd.daemon import journal

# The names in syslog(3), org.freedesktop.LogControl1 and systemctl.
LEVELS = {
    "emerg": logging.CRITICAL,
    "alert": logging.CRITICAL,
    "crit": logging.CRITICAL,
    "err": logging.ERROR,
    "warning": logging.WARNING,
    "notice": NOTICE,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


class Logs:
    """The one handler of all log lines; implements nestd.bus.log_control.LogControl."""

    identifier = journal.IDENTIFIER

    def __init__(self, level: str) -> None:
        logging.addLevelName(NOTICE, "NOTICE")
        self._handler: logging.Handler = logging.NullHandler()
        self.set_level(level)
        self.set_target("auto")

    @property
    def level(self) -> str:
        """See LogControl."""
        return self._level

    @property
    def target(self) -> str:
        """See LogControl: "journal", "console" (stderr) or "null"."""
        return self._target

    def levels(self) -> Collection[str]:
        """See LogControl."""
        return LEVELS

    def targets(self) -> Collection[str]:
        """See LogControl. "auto" is the journal if stderr is connected to it, else the console."""
        found = ("auto", "console", "null")
        return (*found, "journal") if journal.is_there() else found

    def set_level(self, level: str) -> None:
        """See LogControl. Raises KeyError."""
        logging.getLogger("nestd").setLevel(LEVELS[level])
        logging.getLogger().setLevel(max(LEVELS[level], logging.WARNING))  # for the libraries
        self._level = level

    def set_target(self, target: str) -> None:
        """See LogControl."""
        if target == "auto":
            target = "journal" if journal.is_stderr() and journal.is_there() else "console"
        before, self._handler = self._handler, _handler(target)
        logging.getLogger().addHandler(self._handler)
        logging.getLogger().removeHandler(before)
        before.close()
        self._target = target


def _handler(target: str) -> logging.Handler:
    if target == "null":
        return logging.NullHandler()
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    return console if target == "console" else journal.JournalHandler(journal.SOCKET, console)

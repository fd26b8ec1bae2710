# SPDX-License-Identifier: LGPL-2.1-or-later
"""A requested and checked change of a daemon's log settings, and its plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nestd.core.logs.settings.file import FileChange
    from nestd.core.logs.settings.request import LogSettings
    from nestd.core.logs.settings.runtime import Running


class LogWhen(Enum):
    """The target of a change; the values are those of the D-Bus interface."""

    NOW = "now"  # the file, and the daemon if it runs
    RUNTIME = "runtime"  # the running daemon only
    START = "start"  # the file only


@dataclass(frozen=True)
class LogChange:
    """A checked request. file is None if the file stays, running None if the daemon stays."""

    path: str  # of the daemon's configuration file
    settings: LogSettings
    when: LogWhen
    restart: bool
    file: FileChange | None
    running: Running | None  # the settings that the daemon uses now
    starts: bool = False  # the daemon is idle, and is started for the change

    @property
    def edits(self) -> bool:
        """Whether the file changes."""
        return self.file is not None and self.file.edits

    @property
    def sets(self) -> bool:
        """Whether the running daemon changes."""
        if self.running is None:
            return False
        # libvirt's default outputs are unknown, so they are set each time.
        return self.settings.outputs == () or not self.running.satisfies(self.settings)

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything is already as requested; an idle daemon will start with the file."""
        if self.starts and self.when is LogWhen.RUNTIME:
            return False
        return not (self.edits or self.sets or self.restart)


@dataclass(frozen=True)
class LogPlan:
    """The effect of a change of the file."""

    diff: str
    steps: tuple[str, ...]
    warnings: tuple[str, ...]

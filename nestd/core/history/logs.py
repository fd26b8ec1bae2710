# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records changes by others to libvirt daemons' files, and the ends of debug sessions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from nestd.core.history.entry import Kind, Result
from nestd.core.history.history import History

if TYPE_CHECKING:
    from nestd.core.logs.daemon import LogDaemon
    from nestd.core.logs.daemons import LogDaemons
    from nestd.core.logs.settings.state import LogConfig

BUSY_SECONDS = 0.5  # retry interval while nestd itself is changing something


class _Seen(NamedTuple):
    """The state of one daemon that others may change."""

    digest: str  # of its configuration file
    config: LogConfig


class LogsWatch:
    """Compares the daemons' files with the last state seen; nestd's own writes count as seen."""

    def __init__(self, daemons: LogDaemons, history: History) -> None:
        self._daemons = daemons
        self._history = history
        self._seen: dict[str, _Seen] = {}
        self._later: asyncio.TimerHandle | None = None
        daemons.on_applied.append(self._take)
        daemons.on_debug_end.append(self._on_debug_end)

    def start(self) -> None:
        """Start comparing with the present state."""
        self._look()
        self._daemons.on_change.append(self._look)

    def close(self) -> None:
        """Stop."""
        if self._later is not None:
            self._later.cancel()

    def _look(self) -> None:
        there = self._daemons.daemons
        for name in self._seen.keys() - there.keys():
            del self._seen[name]
        for name, daemon in there.items():
            if name not in self._seen:
                self._take(daemon)
            elif daemon.file_digest != self._seen[name].digest:
                self._compare(daemon)

    def _take(self, daemon: LogDaemon) -> None:
        self._seen[daemon.name] = _Seen(daemon.file_digest, daemon.state.config)

    def _compare(self, daemon: LogDaemon) -> None:
        if daemon.is_busy:
            if self._later is None:
                self._later = asyncio.get_running_loop().call_later(BUSY_SECONDS, self._again)
            return
        before = self._seen[daemon.name]
        self._take(daemon)
        what = _what(before, self._seen[daemon.name])
        path = daemon.state.config_file
        self._history.add(Kind.FOREIGN, path, Result.DONE, asked=what)

    def _again(self) -> None:
        self._later = None
        self._look()

    def _on_debug_end(self, daemon: str, why: str, uid: int | None) -> None:
        asked = f"end of the debug logs: {why}"
        self._history.add(Kind.DEBUG, daemon, Result.DONE, uid=uid, asked=asked)


def _what(before: _Seen, now: _Seen) -> str:
    if not now.digest:
        return "the file was removed"
    from nestd.formats.libvirt import log_filters, log_outputs

    if now.config.error:
        return "the file was edited: libvirt cannot read it as it is"
    changed = []
    if now.config.filters != before.config.filters:
        changed.append(f"filters: {log_filters.canonical(now.config.filters) or 'none'}")
    if now.config.outputs != before.config.outputs:
        changed.append(f"outputs: {log_outputs.canonical(now.config.outputs) or 'the default'}")
    return "the file was edited" + (f": {'; '.join(changed)}" if changed else "")

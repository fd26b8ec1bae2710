# SPDX-License-Identifier: LGPL-2.1-or-later
"""The installed libvirt daemons, read again at every hint of a change.

Hints are changes in the directories of configuration, pid files and programs, process exits, and
signals from the service manager; nothing is polled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nestd.core.errors import InvalidArgument
from nestd.core.logs.settings.units import Mode, mode
from nestd.formats.printable import quoted
from nestd.host.inotify import DirectoryWatch
from nestd.host.libvirt import daemons as libvirt_daemons
from nestd.host.libvirt.interface import LogAdmin, Units
from nestd.host.process_exit import ProcessExit
from nestd.host.root import Root
from nestd.host.state.undo_records import UndoRecords

if TYPE_CHECKING:
    from nestd.core.logs.daemon import LogDaemon
    from nestd.core.logs.settings.state import LogState

_MAIN = (libvirt_daemons.MONOLITHIC, "virtqemud")
SETTLE_SECONDS = 0.02  # events come in bursts; one look serves the burst
_WATCHED = (
    libvirt_daemons.CONFIG_DIRECTORY,
    libvirt_daemons.PID_DIRECTORY,
    libvirt_daemons.PROGRAM_DIRECTORIES[0],
)

log = logging.getLogger(__name__)


class LogDaemons:
    """All daemons by name. Call start() first.

    ADMIN returns a daemon's admin server; None means virt-admin. If another nestd manages this
    host, IS_OURS is false and this one only reads.
    """

    def __init__(
        self,
        root: Root,
        units: Units,
        admin: Callable[[str], LogAdmin] | None = None,
        *,
        is_ours: bool = True,
    ) -> None:
        self._root = root
        self._units = units
        self._admin = admin or self._virt_admin
        self._is_ours = is_ours
        self._records = UndoRecords(root)
        self._installed: dict[str, LogDaemon] = {}
        self._daemons: dict[str, LogDaemon] = {}
        self._watch: DirectoryWatch | None = None
        self._exits: dict[int, ProcessExit] = {}
        self._hint = asyncio.Event()
        self._units_hint = False
        self._elsewhere: dict[str, str] = {}  # program paths from the units, by daemon
        self._looking: asyncio.Task[None] | None = None
        self.on_change: list[Callable[[], None]] = []  # also called for added and removed daemons
        # For each daemon, see LogDaemon and DebugKeeper.
        self.on_applied: list[Callable[[LogDaemon], None]] = []
        self.on_debug_end: list[Callable[[str, str, int | None], None]] = []

    @property
    def daemons(self) -> Mapping[str, LogDaemon]:
        """The installed daemons that belong to the host's mode."""
        return self._daemons

    def states(self) -> tuple[LogState, ...]:
        """The state of each daemon."""
        return tuple(daemon.state for daemon in self._daemons.values())

    def daemon(self, name: str) -> LogDaemon:
        """The daemon NAME. Raises InvalidArgument for one that is not installed."""
        if name not in self._daemons:
            known = ", ".join(self._daemons) or "none"
            raise InvalidArgument(f"No libvirt daemon {quoted(name)} here; there are: {known}.")
        return self._daemons[name]

    async def start(self) -> None:
        """Start listening, read everything, and continue the previous nestd's unfinished work."""
        places = [self._root.at(directory) for directory in _WATCHED]
        try:
            self._watch = DirectoryWatch(places, self._hint.set)
        except OSError as error:
            log.warning("libvirt's files are not watched: %s", error.strerror)
        self._units.listen(self._on_units)
        await self._look(units=True)
        self._looking = asyncio.create_task(self._keep_looking())

    async def close(self) -> None:
        """Stop listening; the next nestd takes over debug sessions."""
        if self._looking is not None:
            self._looking.cancel()
        if self._watch is not None:
            self._watch.close()
        for each in self._exits.values():
            each.close()
        for daemon in self._installed.values():
            await daemon.close()

    def _on_units(self) -> None:
        self._units_hint = True
        self._hint.set()

    async def _keep_looking(self) -> None:
        while True:
            await self._hint.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._hint.clear()
            units, self._units_hint = self._units_hint, False
            try:
                await self._look(units=units)
            except Exception:
                log.exception("libvirt's daemons cannot be examined")

    async def _look(self, *, units: bool) -> None:
        names = await self._names(units=units)
        for name in set(self._installed) - set(names):
            await self._installed[name].close()
        new = [name for name in names if name not in self._installed]
        found = {name: self._installed.get(name) or self._new(name) for name in names}
        await asyncio.gather(
            *(daemon.look(units=units or name in new) for name, daemon in found.items())
        )
        for name, daemon in found.items():
            self._watch_process(daemon)
            if name in new and self._is_ours:
                await daemon.resume()
        self._installed = found
        self._daemons = _in_use(found)
        await self._find_unread()
        self._changed()

    async def _names(self, *, units: bool) -> tuple[str, ...]:
        """The daemons whose program is in the usual place, or where the unit has it (NixOS)."""
        usual = libvirt_daemons.installed(self._root)
        if units:
            others = [name for name in libvirt_daemons.NAMES if name not in usual]
            found = await asyncio.gather(*map(self._units.read, others))
            self._elsewhere = {
                name: facts.program for name, facts in zip(others, found) if facts.program
            }
        there = {name for name, path in self._elsewhere.items() if self._root.at(path).exists()}
        return tuple(name for name in libvirt_daemons.NAMES if name in usual or name in there)

    async def _find_unread(self) -> None:
        """Attach the warnings about files that no daemon reads to the daemon that runs machines."""
        if not self._daemons:
            return
        from nestd.core.logs.settings.warnings import unread_files

        found = mode({name: daemon.unit for name, daemon in self._installed.items()})
        unread = await asyncio.to_thread(unread_files, self._root, found, self._daemons.keys())
        main = next((name for name in _MAIN if name in self._daemons), None)
        for name, daemon in self._daemons.items():
            daemon.set_unread(unread if name == main else ())

    def _new(self, name: str) -> LogDaemon:
        from nestd.core.logs.daemon import LogDaemon  # not needed on a host without libvirt

        daemon = LogDaemon(
            self._root,
            name,
            self._units,
            self._records,
            self._admin(name),
            self._changed,
            is_ours=self._is_ours,
        )
        daemon.on_applied = self.on_applied
        daemon.debug.on_end = self.on_debug_end
        return daemon

    def _virt_admin(self, name: str) -> LogAdmin:
        from nestd.host.libvirt.virt_admin import VirtAdmin

        return VirtAdmin(libvirt_daemons.admin_uri(self._root, name))

    def _watch_process(self, daemon: LogDaemon) -> None:
        """Watch for the process's exit, since a killed daemon leaves its pid file behind."""
        process = daemon.state.process
        if process is None or process.pid in self._exits or not self._root.has_our_processes:
            return

        pid = process.pid

        def ended() -> None:
            del self._exits[pid]
            self._hint.set()

        try:
            self._exits[pid] = ProcessExit(pid, ended)
        except OSError as error:
            log.debug("The end of %s is not watched: %s", daemon.name, error.strerror)

    def _changed(self) -> None:
        for listener in self.on_change:
            listener()


def _in_use(installed: Mapping[str, LogDaemon]) -> dict[str, LogDaemon]:
    """The daemons of the host's mode (monolithic or modular), and any other that runs."""
    found = mode({name: daemon.unit for name, daemon in installed.items()})
    return {
        name: daemon
        for name, daemon in installed.items()
        if found is Mode.UNKNOWN
        or daemon.state.active
        or (name == libvirt_daemons.MONOLITHIC) == (found is Mode.MONOLITHIC)
    }

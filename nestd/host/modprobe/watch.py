# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe.d as it is at each look, read again only where something behind it has changed.

Two ways lead to the truth: each look compares the time stamps of all that was read, so that no
answer is older than its question; and inotify tells of a change that nobody asks about.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from nestd.host.inotify import DirectoryWatch
from nestd.host.modprobe.boot_loads import BootLoads, read_boot_loads
from nestd.host.modprobe.config import ModprobeConfig, directories, read_config
from nestd.host.modprobe.kvm_conf import OwnFile, read_own
from nestd.host.root import Root

# Time stamps are those of the kernel's timer tick: two changes within one look like one.
_TICK_SECONDS = 0.1

_Read = tuple[ModprobeConfig, OwnFile, BootLoads]
_Stamps = dict[Path, tuple[int, ...]]

log = logging.getLogger(__name__)


class ConfigWatch:
    """The files that version KMOD of libkmod reads below ROOT. watch() is for the event loop."""

    def __init__(self, root: Root, kmod: int) -> None:
        self._root = root
        self._kmod = kmod
        self._read: _Read | None = None
        self._stamps: _Stamps | None = None  # None: too fresh to tell the next change from
        self._watch: DirectoryWatch | None = None
        self._watched: frozenset[Path] = frozenset()
        self._on_change: Callable[[], None] = lambda: None

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call ON_CHANGE after each change from now on; it is to call read()."""
        self._on_change = on_change
        try:
            self._watch = DirectoryWatch((), on_change)
        except OSError as error:
            log.warning("modprobe.d is not watched, but read at every look: %s", error.strerror)
        self.read()

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()

    def forget(self) -> None:
        """Read again at the next look, whatever the time stamps say."""
        self._stamps = None

    def read(self) -> _Read:
        """The files as they are now, kvm.conf, and what is loaded by name at boot.

        Blocks for as long as the disk does.
        """
        if self._read is not None and self._is_current():
            return self._read
        started = time.time()
        config, loads = read_config(self._root, self._kmod), read_boot_loads(self._root)
        self._read = config, read_own(self._root, config.files), loads
        self._stamps = _stamps(config.places | loads.places, started)
        self._follow_links(config.places | loads.places)
        return self._read

    def _is_current(self) -> bool:
        known = self._stamps
        return known is not None and _stamps(known, time.time()) == known

    def _follow_links(self, dependent: frozenset[Path]) -> None:
        """Watch what the files depend on now."""
        if self._watch is None or dependent == self._watched:
            return
        self._watched = dependent
        places = []
        for directory in directories(self._kmod):
            try:
                places.append(self._root.follow(directory))
            except OSError:
                continue  # a loop of links, which are watched
        self._watch.watch(places, dependent)
        self._on_change()  # what changed since it was read was told to nobody


def _stamps(places: Iterable[Path], now: float) -> _Stamps | None:
    """What differs when one of PLACES was written, replaced, made or removed.

    None where one was changed so shortly before NOW that another change might not show.
    """
    stamps: _Stamps = {}
    for place in places:
        try:
            found = os.lstat(place)
        except OSError:
            stamps[place] = ()
            continue
        if now - found.st_ctime < _TICK_SECONDS:
            return None
        stamps[place] = (
            *(found.st_dev, found.st_ino, found.st_size),
            *(found.st_mtime_ns, found.st_ctime_ns),
        )
    return stamps

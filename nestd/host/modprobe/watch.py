# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe.d as it is at each look, parsed again only if something behind it has changed.

Each look compares the time stamps of everything that was read, so that no answer is older than its
question; inotify reports changes in between.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from nestd.host import fingerprint
from nestd.host.fingerprint import Fingerprint
from nestd.host.inotify import DirectoryWatch
from nestd.host.modprobe.boot_loads import BootLoads, read_boot_loads
from nestd.host.modprobe.config import ModprobeConfig, directories, read_config
from nestd.host.modprobe.kvm_conf import OwnFile, read_own
from nestd.host.root import Root

_Read = tuple[ModprobeConfig, OwnFile, BootLoads]
_Stamps = dict[Path, Optional[Fingerprint]]  # None: there is nothing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """The files at one moment, and the time stamps of all that they depend on."""

    read: _Read
    stamps: _Stamps
    is_fresh: bool  # changed so lately that the stamps alone would not show another change
    hints: int  # of a change that had come before it


class ConfigWatch:
    """The files that version KMOD of libkmod reads below ROOT. watch() is for the event loop."""

    def __init__(self, root: Root, kmod: int) -> None:
        self._root = root
        self._kmod = kmod
        self._read: _Read | None = None
        self._stamps: _Stamps | None = None  # None: read again whatever they are
        self._is_fresh = False
        self._hints = 0
        self._watch: DirectoryWatch | None = None
        self._watched: frozenset[Path] = frozenset()
        self._on_change: Callable[[], None] = lambda: None

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call ON_CHANGE after each change from now on; it is to have the files read again."""
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
        self._hints += 1

    @property
    def is_current(self) -> bool:
        """Whether nothing has changed since the files were read."""
        known = self._stamps
        if self._read is None or known is None or (self._is_fresh and not self._is_quiet):
            return False
        return _stamps(known) == known

    def read(self) -> _Read:
        """The files as they are now, kvm.conf, and what is loaded by name at boot.

        Blocks for as long as the disk does.
        """
        if not self.is_current:
            self.take(self.look())
        assert self._read is not None
        return self._read

    @property
    def known(self) -> _Read:
        """The files as they were read last."""
        return self.read() if self._read is None else self._read

    def look(self) -> Look:
        """Read the files, changing nothing here: for a worker thread."""
        started, hints = time.time(), self._hints
        config, loads = read_config(self._root, self._kmod), read_boot_loads(self._root)
        own = read_own(self._root, config.files)
        stamps = _stamps(config.places | loads.places)
        is_settled = all(stamp.is_settled(started) for stamp in stamps.values() if stamp)
        return Look((config, own, loads), stamps, not is_settled, hints)

    def take(self, look: Look) -> None:
        """Go by what a LOOK has seen, on the event loop."""
        self._read, self._stamps = look.read, look.stamps
        self._is_fresh = look.is_fresh
        places = frozenset(look.stamps)
        unwatched = self._watch is None or places != self._watched
        if look.hints != self._hints or (look.is_fresh and unwatched):
            self._stamps = None  # another change might not show
        self._follow_links(places)

    @property
    def _is_quiet(self) -> bool:
        return self._watch is not None and self._watch.is_quiet

    @property
    def is_watched(self) -> bool:
        """Whether a change makes itself known."""
        return self._watch is not None

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


def _stamps(places: Iterable[Path]) -> _Stamps:
    """The fingerprints of PLACES, links not followed."""
    stamps: _Stamps = {}
    for place in places:
        try:
            stamps[place] = fingerprint.of(os.lstat(place))
        except OSError:
            stamps[place] = None
    return stamps

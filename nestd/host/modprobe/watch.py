# SPDX-License-Identifier: LGPL-2.1-or-later
"""The current content of modprobe.d, parsed again only if something has changed.

inotify reports each change, and no answer is older than its question: the queue of events must be
empty first, and no mount may have appeared or gone. If that proves nothing (the file system is
also changed elsewhere, as with NFS, the limit of watches is reached, or an event is still unread),
the time stamps of everything that was read are compared instead.
"""

from __future__ import annotations

import contextlib
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
from nestd.host.mounts import MountWatch, file_systems, type_at
from nestd.host.root import Root

# File systems that only this kernel changes. In /proc only the kernel's release is read.
_LOCAL = ("bcachefs", "btrfs", "erofs", "ext4", "f2fs", "proc", "squashfs", "tmpfs", "xfs", "zfs")
# Editors truncate kvm.conf or move it away before writing it, so a shorter file counts only after
# it has been unchanged for this long.
_SHRUNK_SECONDS = 0.03
_SHRUNK_READS = 8  # maximum number of attempts if it keeps changing

_Read = tuple[ModprobeConfig, OwnFile, BootLoads]
_Stamps = dict[str, Optional[Fingerprint]]  # by path; None: nothing is there

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """The files at one moment, and the time stamps of everything that they depend on."""

    read: _Read
    places: frozenset[Path]
    stamps: _Stamps
    is_fresh: bool  # changed so recently that the stamps alone would not show another change
    is_local: bool  # only this kernel changes any of it
    hints: int  # number of hints at a change before it


class ConfigWatch:
    """The files that version KMOD of libkmod reads below ROOT. watch() needs the event loop."""

    def __init__(self, root: Root, kmod: int) -> None:
        self._root = root
        self._kmod = kmod
        self._read: _Read | None = None
        self._stamps: _Stamps | None = None  # None: read again in any case
        self._is_fresh = False
        self._is_proven = False  # whether empty event queues prove that nothing changed
        self._hints = 0
        self._watch: DirectoryWatch | None = None
        self._mounts: MountWatch | None = None
        self._watched: frozenset[Path] = frozenset()
        self._on_change: Callable[[], None] = lambda: None

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call ON_CHANGE after each change from now on; it must make the files be read again."""
        self._on_change = on_change
        try:
            self._watch = DirectoryWatch((), self._changed)
        except OSError as error:
            log.warning("modprobe.d is not watched, but read each time: %s", error.strerror)
        with contextlib.suppress(OSError):
            self._mounts = MountWatch()
        self.read()

    def _changed(self) -> None:
        self.forget()
        self._on_change()

    def close(self) -> None:
        """Stop watching."""
        for watch in (self._watch, self._mounts):
            if watch is not None:
                watch.close()
        self._watch = self._mounts = None

    def forget(self) -> None:
        """Read again next time, whatever the time stamps say."""
        self._stamps = None
        self._hints += 1

    @property
    def is_current(self) -> bool:
        """Whether the files are unchanged since they were read."""
        known, is_quiet = self._stamps, self._is_quiet
        same_mounts = self._mounts is not None and not self._mounts.has_changed()
        if known is not None and self._is_proven and is_quiet and same_mounts:
            return True
        if known is None or (self._is_fresh and not is_quiet) or _stamps(known) != known:
            self._is_proven = False  # until everything is read again
            return False
        return True

    def read(self) -> _Read:
        """The current files, kvm.conf, and the modules loaded by name at boot.

        Blocks on disk I/O, and does not wait for editors.
        """
        if not self.is_current:
            self.take(self._look(self._read_files))
        assert self._read is not None
        return self._read

    @property
    def known(self) -> _Read:
        """The files as last read."""
        return self.read() if self._read is None else self._read

    def look(self) -> Look:
        """Read the files without changing this object, for a worker thread. Waits for editors."""
        return self._look(self._read_complete_files)

    def _look(self, read: Callable[[], tuple[ModprobeConfig, OwnFile]]) -> Look:
        started, hints = time.time(), self._hints
        config, own = read()
        loads = read_boot_loads(self._root)
        places = config.places | loads.places
        stamps = _stamps(map(str, places))
        is_fresh = not all(stamp.is_settled(started) for stamp in stamps.values() if stamp)
        return Look((config, own, loads), places, stamps, is_fresh, _is_local(places), hints)

    def _read_files(self) -> tuple[ModprobeConfig, OwnFile]:
        config = read_config(self._root, self._kmod)
        return config, read_own(self._root, config.files)

    def _read_complete_files(self) -> tuple[ModprobeConfig, OwnFile]:
        """Read the files, and again after a pause while kvm.conf has just shrunk.

        Sleeps at most _SHRUNK_READS times half of _SHRUNK_SECONDS in total.
        """
        for _ in range(_SHRUNK_READS):
            began = time.time()
            config, own = self._read_files()
            if not self._has_just_shrunk(own, began):
                return config, own
            time.sleep(_SHRUNK_SECONDS / 2)
        return self._read_files()

    def _has_just_shrunk(self, own: OwnFile, began: float) -> bool:
        """Whether kvm.conf is shorter than before, and changed so shortly before BEGAN, the start
        of the read, that an editor may be about to write it.
        """
        before = None if self._read is None else self._read[1].data
        if before is None or len(own.data or b"") >= len(before):
            return False
        try:
            changed = os.stat(own.place.parent if own.data is None else own.place).st_mtime
        except OSError:
            return False
        return abs(began - changed) < _SHRUNK_SECONDS

    def take(self, look: Look) -> None:
        """Adopt the result of look(), on the event loop."""
        self._read, self._stamps = look.read, look.stamps
        self._is_fresh = look.is_fresh
        places = look.places
        unwatched = self._watch is None or places != self._watched
        self._is_proven = (
            look.is_local
            and look.hints == self._hints
            and not unwatched
            and self._watch is not None
            and self._watch.is_complete
        )
        if look.hints != self._hints or (look.is_fresh and unwatched):
            self._stamps = None  # another change might go unnoticed
        self._follow_links(places)

    @property
    def _is_quiet(self) -> bool:
        return self._watch is not None and self._watch.is_quiet

    @property
    def is_watched(self) -> bool:
        """Whether every change is reported."""
        return self._watch is not None

    def _follow_links(self, dependent: frozenset[Path]) -> None:
        """Watch the paths that the files depend on now."""
        if self._watch is None or dependent == self._watched:
            return
        self._watched = dependent
        places = []
        for directory in directories(self._kmod):
            try:
                places.append(self._root.follow(directory))
            except OSError:
                continue  # a loop of links, which are watched themselves
        self._watch.watch(places, dependent)
        self._changed()  # no event has reported a change since it was read


def _stamps(places: Iterable[str]) -> _Stamps:
    """The fingerprints of PLACES, without following links."""
    stamps: _Stamps = {}
    for place in places:
        try:
            stamps[place] = fingerprint.of(os.lstat(place))
        except OSError:
            stamps[place] = None
    return stamps


def _is_local(places: Iterable[Path]) -> bool:
    """Whether inotify reports every change of PLACES."""
    try:
        found = file_systems()
    except OSError:
        return False
    return all(type_at(str(each.parent), found) in _LOCAL for each in places)

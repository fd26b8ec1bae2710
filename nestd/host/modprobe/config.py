# SPDX-License-Identifier: LGPL-2.1-or-later
"""The configuration files that libkmod reads on a host, in its order (libkmod-config.c).

A file masks those of the same name in later directories. What is left is read in the byte order of
the names, whatever directory each is in.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from nestd.formats.modprobe import kernel_cmdline
from nestd.formats.modprobe.next_load import ConfigFile, path_for_people
from nestd.host.files import read_regular
from nestd.host.root import Root

MOST_BYTES = 128 << 10
"""Of one file. kmod has no limit; nestd has, since it reads on behalf of any user."""

# What kmod does differently from these versions on.
READS_USR_LOCAL = 29
READS_USR_LIB = 32  # /usr/lib besides /lib, which matters where these are two directories
READS_WEAKDEP = 33
IGNORES_ALIAS_FILES = 33
IGNORES_DEAD_LINKS = 34

_RELEASE = "/proc/sys/kernel/osrelease"
_NULL = "/dev/null"
_NULL_DEVICE = os.makedev(1, 3)


@dataclass(frozen=True)
class MaskedFile:
    """A file that libkmod does not read because an earlier directory has one of its name."""

    path: str
    by: str


@dataclass(frozen=True)
class ModprobeConfig:
    """The files in the order in which libkmod reads them, and what went wrong on the way."""

    files: tuple[ConfigFile, ...]
    masked: tuple[MaskedFile, ...]
    problems: tuple[str, ...]  # one sentence each
    # Those of them because of which no load is to be begun: it would hang, or do nobody knows what.
    obstacles: tuple[str, ...]
    places: frozenset[Path]  # what can only change together with one of these, links included


def directories(kmod: int) -> tuple[str, ...]:
    """modprobe.d directories, the strongest first."""
    bases = ["/etc", "/run"]
    bases += ["/usr/local/lib"] if kmod >= READS_USR_LOCAL else []
    bases += ["/usr/lib"] if kmod >= READS_USR_LIB else []
    return tuple(f"{base}/modprobe.d" for base in [*bases, "/lib"])


def read_config(root: Root, kmod: int) -> ModprobeConfig:
    """Read what version KMOD of libkmod would read. Blocks for as long as the disk does.

    Never hangs on a FIFO and never raises OSError: what cannot be read is named in the problems. A
    file of more than MOST_BYTES is not read.
    """
    reader = _Reader(root, kmod)
    reader.seed_pseudo_files()
    for directory in directories(kmod):
        reader.list_directory(directory)
    return reader.read()


def read_cmdline(root: Root) -> bytes:
    """The kernel command line; empty where there is none to read, as for libkmod."""
    try:
        return read_regular(root.at(kernel_cmdline.PATH)) or b""
    except OSError:
        return b""


class _Reader:
    """One pass over the directories. Names are bytes: they need not be UTF-8."""

    def __init__(self, root: Root, kmod: int) -> None:
        self._root = root
        self._kmod = kmod
        self._paths: dict[bytes, str] = {}  # by base name
        self._seen: set[tuple[int, int]] = set()  # directories: device and inode
        self._masked: list[MaskedFile] = []
        self._problems: list[str] = []
        self._obstacles: list[str] = []
        self._places: set[Path] = set()

    def seed_pseudo_files(self) -> None:
        """Lists that depmod made of the modules' own wishes; read like configuration files."""
        try:
            release = (read_regular(self._follow(_RELEASE)) or b"").strip()
        except OSError:
            release = b""
        if release:
            names = ["modules.softdep"]
            names += ["modules.weakdep"] if self._kmod >= READS_WEAKDEP else []
            for name in names:
                path = f"/lib/modules/{os.fsdecode(release)}/{name}"
                if self._follow(path).exists():
                    self._paths[name.encode()] = path

    def list_directory(self, directory: str) -> None:
        """Add the directory's files; a file in the directory's place counts as one of its name."""
        try:
            place = self._follow(directory)
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in self._seen:
                return  # /lib is a link to /usr/lib
            self._seen.add((status.st_dev, status.st_ino))
            if not stat.S_ISDIR(status.st_mode):
                self._add(os.path.basename(directory).encode(), directory)
                return
            names = os.listdir(os.fsencode(place))
        except FileNotFoundError:
            return
        except OSError as error:
            self._problem(directory, f"cannot be read: {error.strerror}")
            return
        for name in sorted(names):
            path = f"{directory}/{os.fsdecode(name)}"
            if self._is_candidate(name) and self._is_taken(path):
                self._add(name, path)

    def read(self) -> ModprobeConfig:
        """Read every file that was not masked."""
        contents = ((path, self._content(path)) for _, path in sorted(self._paths.items()))
        files = tuple(ConfigFile(path, data) for path, data in contents if data is not None)
        return ModprobeConfig(
            files=files,
            masked=tuple(self._masked),
            problems=tuple(self._problems),
            obstacles=tuple(self._obstacles),
            places=frozenset(self._places),
        )

    def _follow(self, path: str) -> Path:
        """Root.follow(), remembering what it depends on."""
        trail = []
        try:
            for place in self._root.trail(path):
                trail.append(place)
        finally:
            self._places.update(trail)
        return trail[-1]

    def _is_candidate(self, name: bytes) -> bool:
        endings = [b".conf"] if self._kmod >= IGNORES_ALIAS_FILES else [b".conf", b".alias"]
        return not name.startswith(b".") and name.endswith(tuple(endings))

    def _is_taken(self, path: str) -> bool:
        try:
            place = self._follow(path)
            if place == self._root.at(_NULL):
                return True
            status = os.stat(place)
        except OSError:
            # Older ones look at what is not there; kmod 30 was seen to take it for an empty file.
            ignored = self._kmod >= IGNORES_DEAD_LINKS
            counts = "ignores it" if ignored else "may or may not take it for an empty file"
            self._problem(path, f"is a link that leads nowhere; kmod {self._kmod} {counts}")
            return not ignored
        if stat.S_ISDIR(status.st_mode):
            self._problem(path, "is a directory, which kmod ignores")
            return False
        return True

    def _add(self, name: bytes, path: str) -> None:
        if name in self._paths:
            self._masked.append(
                MaskedFile(path_for_people(path), path_for_people(self._paths[name]))
            )
        else:
            self._paths[name] = path

    def _content(self, path: str) -> bytes | None:
        try:
            place = self._root.follow(path)
            if place == self._root.at(_NULL):  # the usual way to mask a file
                return b""
            status = os.stat(place)
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE:
                return b""  # mounted over it
            if stat.S_ISFIFO(status.st_mode):
                self._obstacle(path, "is a FIFO, in which modprobe hangs")
                return None
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                self._obstacle(path, "is a device, from which modprobe may read without end")
                return None
            return read_regular(place, MOST_BYTES)
        except FileNotFoundError:
            return None  # a link that leads nowhere was named before
        except OSError as error:
            if error.errno == errno.EFBIG:
                self._obstacle(path, f"is larger than the {MOST_BYTES} bytes that nestd reads")
            else:
                self._problem(path, f"cannot be read: {error.strerror}")
            return None

    def _obstacle(self, path: str, what: str) -> None:
        self._problem(path, what)
        self._obstacles.append(self._problems[-1])

    def _problem(self, path: str, what: str) -> None:
        self._problems.append(f"{path_for_people(path)} {what}.")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The configuration files that libkmod reads on a host, in its order (libkmod-config.c).

A file masks files of the same name in later directories. The others are read in byte order of
their names, regardless of directory.
"""

from __future__ import annotations

import contextlib
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
"""Limit for one file. kmod has none; nestd needs one, since it reads on behalf of any user."""

# Versions of kmod that changed behaviour.
READS_USR_LOCAL = 29
READS_USR_LIB = 32  # /usr/lib besides /lib, which matters if they are different directories
READS_WEAKDEP = 33
IGNORES_ALIAS_FILES = 33
IGNORES_DEAD_LINKS = 34

# Suffixes and parts of names of backups and leftovers, which are not meant to be read.
_LEFTOVER_ENDINGS = (b"~", b".bak", b".old", b".orig", b".save", b".disabled", b".swp", b".md")
_LEFTOVER_PARTS = (b".rpm", b".dpkg-", b".ucf-", b"README")
_OLD_FILE = "/etc/modprobe.conf"  # of module-init-tools

_RELEASE = "/proc/sys/kernel/osrelease"
_NULL = "/dev/null"
_NULL_DEVICE = os.makedev(1, 3)


@dataclass(frozen=True)
class MaskedFile:
    """A file that libkmod ignores because an earlier directory has one of the same name."""

    path: str
    by: str


@dataclass(frozen=True)
class StoppingFile:
    """A file that makes every load unsafe, so that nestd starts none."""

    path: str
    what: str  # is wrong with it, to follow its name in a sentence
    hangs: bool  # modprobe would hang; else its behaviour is unknown

    def __str__(self) -> str:
        return f"{self.path} {self.what}."


@dataclass(frozen=True)
class ModprobeConfig:
    """The files in libkmod's reading order, and the problems found."""

    files: tuple[ConfigFile, ...]
    masked: tuple[MaskedFile, ...]
    problems: tuple[str, ...]  # one sentence each
    stopping: tuple[StoppingFile, ...]  # also contained in problems
    private: frozenset[str]  # paths of files that some users cannot read
    ignored: tuple[ConfigFile, ...]  # files of modprobe.d that libkmod ignores by their name
    places: frozenset[Path]  # paths that change whenever a file does, links included

    @property
    def obstacles(self) -> tuple[str, ...]:
        """The stopping files, one sentence each."""
        return tuple(map(str, self.stopping))


def directories(kmod: int) -> tuple[str, ...]:
    """The modprobe.d directories, in order of precedence."""
    bases = ["/etc", "/run"]
    bases += ["/usr/local/lib"] if kmod >= READS_USR_LOCAL else []
    bases += ["/usr/lib"] if kmod >= READS_USR_LIB else []
    return tuple(f"{base}/modprobe.d" for base in [*bases, "/lib"])


def read_config(root: Root, kmod: int) -> ModprobeConfig:
    """Read the files that version KMOD of libkmod would read. Blocks on disk I/O.

    Never hangs on a FIFO and never raises OSError: the problems list unreadable files. A file of
    more than MOST_BYTES is not read.
    """
    reader = _Reader(root, kmod)
    reader.seed_pseudo_files()
    for directory in directories(kmod):
        reader.list_directory(directory)
    reader.add_old_file()
    return reader.read()


def read_cmdline(root: Root) -> bytes:
    """The kernel command line; empty if unreadable, as in libkmod."""
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
        self._stopping: list[StoppingFile] = []
        self._private: set[str] = set()
        self._entered: dict[Path, bool] = {}  # directories, and whether every user may enter them
        self._ignored: list[str] = []
        self._places: set[Path] = set()

    def seed_pseudo_files(self) -> None:
        """Add depmod's softdep lists, which libkmod reads like configuration files."""
        try:
            release = (read_regular(self._follow(_RELEASE)) or b"").strip()
        except OSError:
            release = b""
        if release:
            names = ["modules.softdep"]
            names += ["modules.weakdep"] if self._kmod >= READS_WEAKDEP else []
            for name in names:
                self._add_pseudo_file(name, f"/lib/modules/{os.fsdecode(release)}/{name}")

    def _add_pseudo_file(self, name: str, path: str) -> None:
        try:
            if os.path.exists(self._follow(path)):
                self._paths[name.encode()] = path
        except OSError as error:
            self._problem(path, f"cannot be read: {error.strerror}")

    def list_directory(self, directory: str) -> None:
        """Add the directory's files; if it is a file, it counts as a file of that name."""
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
            if not self._is_candidate(name):
                if _looks_meant(name):
                    self._ignored.append(path)
            elif self._is_taken(path):
                self._add(name, path)

    def add_old_file(self) -> None:
        """Note /etc/modprobe.conf, which only libkmod's predecessor read."""
        self._ignored.append(_OLD_FILE)
        with contextlib.suppress(OSError):  # kmod does not read it either
            self._follow(_OLD_FILE)

    def read(self) -> ModprobeConfig:
        """Read every file that is not masked."""
        contents = ((path, self._content(path)) for _, path in sorted(self._paths.items()))
        files = tuple(ConfigFile(path, data) for path, data in contents if data is not None)
        ignored = ((path, self._ignored_content(path)) for path in self._ignored)
        return ModprobeConfig(
            files=files,
            masked=tuple(self._masked),
            problems=tuple(self._problems),
            stopping=tuple(self._stopping),
            private=frozenset(self._private),
            ignored=tuple(ConfigFile(path, data) for path, data in ignored if data),
            places=frozenset(self._places),
        )

    def _follow(self, path: str) -> Path:
        """Root.follow(), recording the paths that the result depends on."""
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
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self._problem(path, f"cannot be read: {error.strerror}")
                return False
            # Older versions read past the end of it; kmod 30 was seen to treat it as an empty file.
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
                return b""  # something is mounted over it
            if stat.S_ISFIFO(status.st_mode):
                self._stop(path, "is a FIFO, in which modprobe hangs", hangs=True)
                return None
            if not self._is_public(place, status.st_mode):
                self._private.add(path_for_people(path))
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                what = "is a device, from which modprobe may read without end"
                self._stop(path, what, hangs=True)
                return None
            return read_regular(place, MOST_BYTES)
        except FileNotFoundError:
            return None  # a dangling link was reported before
        except OSError as error:
            if error.errno == errno.EFBIG:
                what = f"is larger than the {MOST_BYTES} bytes that nestd reads"
                self._stop(path, what, hangs=False)
            else:
                self._problem(path, f"cannot be read: {error.strerror}")
            return None

    def _ignored_content(self, path: str) -> bytes:
        """The bytes of a file that libkmod ignores, empty if unreadable: that is no problem."""
        try:
            return read_regular(self._follow(path), MOST_BYTES) or b""
        except OSError:
            return b""

    def _stop(self, path: str, what: str, *, hangs: bool) -> None:
        self._problem(path, what)
        self._stopping.append(StoppingFile(path_for_people(path), what, hangs))

    def _is_public(self, place: Path, mode: int) -> bool:
        """Whether every user may read the file at PLACE with this MODE."""
        return bool(mode & stat.S_IROTH) and self._may_enter(place.parent)

    def _may_enter(self, directory: Path) -> bool:
        if directory == self._root.path:
            return True
        if directory not in self._entered:
            mode = os.stat(directory).st_mode
            self._entered[directory] = bool(mode & stat.S_IXOTH) and self._may_enter(
                directory.parent
            )
        return self._entered[directory]

    def _problem(self, path: str, what: str) -> None:
        self._problems.append(f"{path_for_people(path)} {what}.")


def _looks_meant(name: bytes) -> bool:
    """Whether a file that libkmod ignores because of NAME was probably meant to be read."""
    leftover = name.endswith(_LEFTOVER_ENDINGS) or any(part in name for part in _LEFTOVER_PARTS)
    return not name.startswith(b".") and not leftover

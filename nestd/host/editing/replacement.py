# SPDX-License-Identifier: LGPL-2.1-or-later
"""Replaces a file atomically, without losing what others write to it meanwhile.

A replacement is a new file in the same directory (systemd-udevd notices changes of modprobe.d only
by the directory's time stamp, systemd/systemd#6723), with the old one's owner, mode, security label
and ACLs. The file is synced before the exchange, the directory after it.

The old and the new file swap names, so that the replaced file can be compared with the expected
bytes; if they differ, the two are swapped back. A lease keeps writers out meanwhile. The temporary
file's name contains digests of the new and the expected bytes, by which settle() and
remove_leftovers() tell after a crash whose bytes a file holds.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nestd.host.editing.attributes import copy_attributes
from nestd.host.editing.exchange import exchange, rename_to_free
from nestd.host.editing.lease import Lease
from nestd.host.files import read_regular, sync_directory

_CHANGED = "was changed meanwhile"
_OLD = "-old"  # suffix of the backup's name
_DIGITS = 16  # of a digest
_NAMED = re.compile(rf"-([0-9a-f]{{{_DIGITS}}})-([0-9a-f]{{{_DIGITS}}})({_OLD})?$")

log = logging.getLogger(__name__)


class NotUndone(OSError):
    """A step and its undo failed; strerror says what is in effect now."""


@dataclass(frozen=True)
class Replacement:
    """New content for a file, on disk beside it, waiting for commit() or discard().

    After commit() the old file still exists under another name, so undo() needs no space and
    restores the same inode. discard() removes it; a later undo() rewrites the old bytes.
    """

    target: Path
    temporary: Path
    backup: Path
    data: bytes  # the new content
    expected: bytes | None  # the content before; None: it does not exist

    @property
    def committed(self) -> bool:
        """Whether the new bytes are or were in place, or were discarded."""
        return not self.temporary.exists()

    @property
    def is_consistent(self) -> bool:
        """Whether the file names are such as prepare() creates; a stored record may be damaged."""
        beside = (self.temporary, self.backup)
        prefix = _leftover_prefix(self.target)
        return self.target.is_absolute() and all(
            file.parent == self.target.parent and file.name.startswith(prefix) for file in beside
        )

    def check_unchanged(self) -> None:
        """Raise OSError ESTALE if the file is not as expected, or is open for writing.

        A commit that would be refused is thus detected before anything else is done.
        """
        if self.expected is None:
            if read_regular(self.target) is not None:
                raise _changed(self.target)
            return
        with _leased(self.target, self.expected):
            pass

    def commit(self) -> None:
        """Put the new bytes in place durably.

        Raises OSError (ESTALE if the file has changed since the new bytes were derived, or is open
        for writing) with the file unchanged and nothing left beside it. Raises NotUndone if the old
        file could not be put back; it is then kept for another undo().
        """
        try:
            if self.expected is None:
                _put_new(self.temporary, self.target)
            else:
                _swap(self.temporary, self.target, self.expected)
                if self.temporary.exists():  # the old file now
                    os.rename(self.temporary, self.backup)
            sync_directory(self.target.parent)
            self._check_late_writer()
        except OSError as error:
            self._take_back(error)
            self.discard()
            raise

    def settle(self) -> None:
        """Complete a step that a crash interrupted between exchange and comparison.

        A version that somebody saved in between is put back. Raises OSError.
        """
        for place in (self.temporary, self.backup):
            held = read_regular(place)
            if held is not None and held not in (self.data, self.expected):
                exchange(place, self.target)
                sync_directory(self.target.parent)
        if self.expected is not None and read_regular(self.temporary) == self.expected:
            os.rename(self.temporary, self.backup)

    def undo(self) -> None:
        """Put the old file back after commit(), unless somebody has changed the file since.

        Raises OSError if the new bytes are still in place.
        """
        if read_regular(self.target) != self.data:
            return
        try:
            self.settle()
            if read_regular(self.target) == self.data:
                self._put_back()
            sync_directory(self.target.parent)
        except OSError as error:
            if read_regular(self.target) == self.data:
                raise
            log.warning("%s: %s", self.target, error)  # read back: the new bytes are gone

    def discard(self) -> None:
        """Remove the files beside it; the file itself stays as it is. Never raises."""
        for leftover in (self.temporary, self.backup):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)

    def _put_back(self) -> None:
        if self.expected is None:
            self.target.unlink(missing_ok=True)
        elif self.backup.exists():
            _swap(self.backup, self.target, self.data)
        else:  # discarded, or removed by somebody
            replace(self.target, self.expected, self.data)

    def _check_late_writer(self) -> None:
        """Detect a writer that looked up the old file before the exchange and opened it after."""
        if self.expected is not None and self.backup.exists():
            with _leased(self.backup, self.expected):
                pass

    def _take_back(self, reason: OSError) -> None:
        try:
            if read_regular(self.temporary) != self.data:
                self.undo()
        except OSError as error:
            said = f"{reason.strerror}; then it could not be put back: {error.strerror}"
            raise NotUndone(error.errno, said, str(self.target)) from error


def prepare(path: Path, data: bytes, expected: bytes | None) -> Replacement:
    """Write DATA durably beside PATH, with PATH's owner, mode and label (0644 for a new file).

    EXPECTED is the present content of PATH. A link is followed, so that its target is replaced. A
    missing directory is created. Raises OSError (ENOSPC, EROFS, EACCES ...), with nothing left
    behind.
    """
    target = Path(os.path.realpath(path))
    _make_directory(target.parent)
    fd, unfinished = tempfile.mkstemp(prefix=_leftover_prefix(target), dir=target.parent)
    name = f"{unfinished}-{_digest(data)}-{_digest(expected or b'')}"
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            copy_attributes(target, fd)
            os.fsync(fd)
        os.rename(unfinished, name)  # a file with digests in its name is complete
    except OSError:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return Replacement(target, Path(name), Path(name + _OLD), data, expected)


def replace(path: Path, data: bytes, expected: bytes | None) -> None:
    """prepare(), commit() and discard() in one."""
    replacement = prepare(path, data, expected)
    replacement.commit()
    replacement.discard()


def remove_leftovers(path: Path) -> None:
    """Remove the files of a prepare() for PATH whose process was killed. Raises OSError."""
    target = Path(os.path.realpath(path))
    for leftover in target.parent.glob(_leftover_prefix(target) + "*"):
        named = _NAMED.search(leftover.name)
        found = read_regular(leftover) if named else None
        if named and found is not None and _digest(found) not in named.groups():
            # Somebody saved this during the exchange.
            if _digest(read_regular(target) or b"") not in named.groups():
                log.warning("%s was saved by another program and is kept", leftover)
                continue
            exchange(leftover, target)
            sync_directory(target.parent)
        leftover.unlink(missing_ok=True)


def _put_new(temporary: Path, target: Path) -> None:
    if not rename_to_free(temporary, target):
        if target.exists() or target.is_symlink():
            raise _changed(target)
        os.rename(temporary, target)


def _swap(source: Path, target: Path, expected: bytes) -> None:
    """Exchange the two files if TARGET contains EXPECTED and nobody is writing to it.

    Otherwise raises OSError ESTALE and changes nothing. If the file system cannot exchange, SOURCE
    is renamed to TARGET, and the old TARGET is linked to the backup's name.
    """
    with _leased(target, expected) as lease:
        try:
            exchanged = exchange(source, target)
            if not exchanged:
                _link_and_rename(source, target)
        except FileNotFoundError:  # moved away by somebody who will write it again
            raise _changed(target) from None
        if exchanged and (
            lease.is_wanted or not lease.names(source) or read_regular(source) != expected
        ):
            exchange(source, target)
            raise _changed(target)


def _link_and_rename(source: Path, target: Path) -> None:
    if not source.name.endswith(_OLD):
        backup = source.with_name(source.name + _OLD)
        backup.unlink(missing_ok=True)  # from a commit() interrupted by a crash
        os.link(target, backup)
    os.rename(source, target)


@contextlib.contextmanager
def _leased(path: Path, expected: bytes) -> Iterator[Lease]:
    """Lease the file PATH, which must contain EXPECTED. Raises OSError ESTALE."""
    try:
        lease = Lease(path)
    except FileNotFoundError:
        raise _changed(path) from None
    with lease:
        if not lease.names(path) or read_regular(path) != expected:
            raise _changed(path)
        yield lease


def _changed(path: Path) -> OSError:
    return OSError(errno.ESTALE, _CHANGED, str(path))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def _leftover_prefix(target: Path) -> str:
    """The prefix of temporary names: kmod and libvirt ignore names that begin with a dot."""
    return f".{target.name}.nestd-"


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    _make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)  # regardless of the umask
    sync_directory(directory.parent)

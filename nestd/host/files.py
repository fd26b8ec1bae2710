# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading without surprises, and replacing a file all or nothing.

A replacement is a new file in the same directory (systemd-udevd sees a change of modprobe.d only
by the directory's time stamp, systemd/systemd#6723), with the old one's owner, mode, security
label and ACLs, synced before the rename and the directory after it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nestd.host.root import Root

# Digests and signatures that the kernel or a package made of the old bytes: wrong for other ones.
_OF_THE_CONTENTS = ("security.ima", "security.evm")
DEFAULT_LIMIT = 16 << 20  # bytes; a configuration file beyond that is somebody's mistake


def read_regular(path: Path, limit: int = DEFAULT_LIMIT) -> bytes | None:
    """The bytes of a regular file, None where there is nothing of that name.

    Raises OSError: EFBIG past LIMIT bytes, and what open_regular() and read(2) raise.
    """
    opened = open_regular(path)
    if opened is None:
        return None
    with opened as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def open_regular(path: Path) -> BinaryIO | None:
    """A regular file opened to be read, None where there is nothing of that name.

    Never hangs (a FIFO is refused, not opened for waiting). Raises OSError: EISDIR for a directory,
    EINVAL for another special file, ELOOP or ENOLINK for a link that leads nowhere, and whatever
    open(2) says.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        if path.is_symlink():
            raise OSError(errno.ENOLINK, "is a link that leads nowhere", str(path)) from None
        return None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "is not a regular file", str(path))


def read_below(root: Root, absolute: str, limit: int = DEFAULT_LIMIT) -> bytes | None:
    """read_regular() for the file that ABSOLUTE leads to with links read as from inside ROOT."""
    data = read_regular(root.follow(absolute), limit)
    if data is None:
        directory, name = os.path.split(absolute)
        if (root.follow(directory) / name).is_symlink():
            raise OSError(errno.ENOLINK, "is a link that leads nowhere", absolute)
    return data


class NotUndone(OSError):
    """A step failed and so did its undo: new bytes may stand; strerror says what does."""


@dataclass(frozen=True)
class Replacement:
    """New bytes for a file, on disk beside it, waiting for commit() or discard().

    After commit() the old file is still there under another name, so that undo() needs no space:
    it is the very same file again. discard() drops what is left; an undo() after that writes the
    old bytes anew.
    """

    target: Path
    temporary: Path
    backup: Path
    data: bytes  # what the file is to hold
    expected: bytes | None  # what it holds before; None: it does not exist

    @property
    def committed(self) -> bool:
        """Whether the new bytes are in place (or were, or were given up)."""
        return not self.temporary.exists()

    @property
    def is_consistent(self) -> bool:
        """Whether its files are such as prepare() makes; a record of one may have been damaged."""
        beside = (self.temporary, self.backup)
        prefix = _leftover_prefix(self.target)
        return self.target.is_absolute() and all(
            file.parent == self.target.parent and file.name.startswith(prefix) for file in beside
        )

    def commit(self) -> None:
        """Put the new bytes in place: link(2) the old file, rename(2), fsync(2) the directory.

        Raises OSError, ESTALE where the file is no longer what it was when the new bytes were made,
        and then leaves the old file and nothing else. Raises NotUndone where the old file could not
        be put back; the backup then stays for another undo().
        """
        try:
            if read_regular(self.target) != self.expected:
                raise OSError(errno.ESTALE, "was changed meanwhile", str(self.target))
            if self.expected is not None:
                self.backup.unlink(missing_ok=True)  # of a commit() that a crash cut off
                os.link(self.target, self.backup)
            os.rename(self.temporary, self.target)
            sync_directory(self.target.parent)
        except OSError as error:
            self._take_back(error)
            self.discard()
            raise

    def _take_back(self, reason: OSError) -> None:
        if not self.committed:
            return
        try:
            self.undo()
        except OSError as error:
            text = f"{reason.strerror}; then it could not be put back ({error.strerror})"
            raise NotUndone(error.errno, text, str(self.target)) from error

    def undo(self) -> None:
        """Put the old file back after commit(); one that somebody changed since stays."""
        if read_regular(self.target) != self.data:
            return
        if self.expected is None:
            self.target.unlink(missing_ok=True)
        elif self.backup.exists():
            os.rename(self.backup, self.target)
        else:  # discarded, or removed by somebody
            replace(self.target, self.expected, self.data)
        sync_directory(self.target.parent)

    def discard(self) -> None:
        """Remove what is left beside the file; the file stays as it is. Never raises."""
        for leftover in (self.temporary, self.backup):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)


def prepare(path: Path, data: bytes, expected: bytes | None) -> Replacement:
    """Write DATA beside PATH, durable, with PATH's owner, mode and label (0644 for a new file).

    EXPECTED is what PATH holds now. A link is followed, so that the file it names is the one
    replaced. A missing directory is made. Raises OSError (ENOSPC, EROFS, EACCES ...) and then
    leaves nothing behind.
    """
    target = Path(os.path.realpath(path))
    _make_directory(target.parent)
    fd, name = tempfile.mkstemp(prefix=_leftover_prefix(target), dir=target.parent)
    replacement = Replacement(target, Path(name), Path(name + "-old"), data, expected)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            _copy_identity(target, fd)
            os.fsync(fd)
    except OSError:
        replacement.discard()
        raise
    return replacement


def replace(path: Path, data: bytes, expected: bytes | None) -> None:
    """prepare(), commit() and discard() in one."""
    replacement = prepare(path, data, expected)
    replacement.commit()
    replacement.discard()


def remove_leftovers(path: Path) -> None:
    """Remove what a prepare() for PATH left behind when its process was killed."""
    target = Path(os.path.realpath(path))
    for leftover in target.parent.glob(_leftover_prefix(target) + "*"):
        leftover.unlink(missing_ok=True)


def _leftover_prefix(target: Path) -> str:
    """How temporary names begin: kmod and libvirt ignore names that begin with a dot."""
    return f".{target.name}.nestd-"


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    _make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)  # whatever the umask is
    sync_directory(directory.parent)


def _copy_identity(source: Path, fd: int) -> None:
    """Owner, mode and extended attributes (security label, ACL) of SOURCE, if there is one."""
    try:
        status = os.stat(source)
    except FileNotFoundError:
        os.fchmod(fd, 0o644)
        return
    os.fchown(fd, status.st_uid, status.st_gid)
    os.fchmod(fd, stat.S_IMODE(status.st_mode))
    for attribute in _attributes(source):
        if attribute not in _OF_THE_CONTENTS:
            _copy_attribute(source, fd, attribute)


def _attributes(source: Path) -> list[str]:
    try:
        return os.listxattr(source)
    except OSError as error:
        if error.errno == errno.ENOTSUP:  # a file system without
            return []
        raise


def _copy_attribute(source: Path, fd: int, attribute: str) -> None:
    """Raises OSError, naming it, where it cannot be kept: no label is lost silently.

    One that the new file has by itself is not set: a security label takes a right of its own
    (SELinux's relabelto), even for the same value.
    """
    try:
        value = os.getxattr(source, attribute)
        if _attribute(fd, attribute) != value:
            os.setxattr(fd, attribute, value)
    except OSError as error:
        # Shown by the file system, but not to be set; or gone meanwhile.
        if error.errno not in (errno.ENOTSUP, errno.ENODATA):
            lost = f"its attribute {attribute} cannot be kept: {error.strerror}"
            raise OSError(error.errno, lost, str(source)) from error


def _attribute(fd: int, attribute: str) -> bytes | None:
    try:
        return os.getxattr(fd, attribute)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise

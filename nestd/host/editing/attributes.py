# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file's metadata: owner, mode, and extended attributes (security label, ACL)."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

# Digests and signatures of the old bytes, which would not match the new ones.
_OF_THE_CONTENTS = ("security.ima", "security.evm")


def copy_attributes(source: Path, fd: int) -> None:
    """Copy owner, mode and extended attributes (security label, ACL) of SOURCE, if it exists."""
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
        if error.errno == errno.ENOTSUP:  # the file system has none
            return []
        raise


def _copy_attribute(source: Path, fd: int, attribute: str) -> None:
    """Copy ATTRIBUTE; raises OSError naming it if that fails: no label is lost silently.

    A value that the new file already has is not set: setting a security label needs a permission
    (SELinux's relabelto), even for the same value.
    """
    try:
        value = os.getxattr(source, attribute)
        if _attribute(fd, attribute) != value:
            os.setxattr(fd, attribute, value)
    except OSError as error:
        # The file system shows it but does not allow setting it, or it is gone.
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

# SPDX-License-Identifier: LGPL-2.1-or-later
"""renameat2(2), missing in Python: exchanges two names, or renames to an unused one."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE, _EXCHANGE = 1, 2
# Errors from file systems, kernels and sandboxes without support for it.
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM)

_libc = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> bool:
    """Swap the two names atomically; False if that is not supported. Raises OSError."""
    return _renameat2(one, other, _EXCHANGE)


def rename_to_free(source: Path, target: Path) -> bool:
    """Rename SOURCE to TARGET, which must not exist (EEXIST); False if that is not supported."""
    return _renameat2(source, target, _NOREPLACE)


def _renameat2(source: Path, target: Path, flags: int) -> bool:
    function = getattr(_libc, "renameat2", None)
    if function is None:
        return False
    paths = os.fsencode(source), os.fsencode(target)
    if function(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(target))

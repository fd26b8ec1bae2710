# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that libvirt's daemons log to: the ones that a client may choose, and their sizes.

A daemon opens such a file as root, creates it if needed and appends to it, so an unrestricted
choice could damage any file on the host. The file must therefore be in libvirt's log directory,
which only root can write to, and no link may lead out of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

from nestd.host.libvirt.daemons import LOG_DIRECTORY
from nestd.host.privacy import may_reach
from nestd.host.root import Root


def debug_log(daemon: str) -> str:
    """The default log file of a debug session."""
    return f"{LOG_DIRECTORY}/{daemon}-debug.log"


def objection(root: Root, path: str, *, sees_all: bool = True) -> str:
    """The rule by which a client may not make a daemon log to PATH, "" if it may.

    Unless SEES_ALL, the text does not reveal what exists in a directory that users cannot enter.
    """
    if not path.startswith(LOG_DIRECTORY + "/"):
        return f"a log file must be in {LOG_DIRECTORY}"
    if not sees_all and not may_reach(root, path):
        lexical = os.path.normpath(path).startswith(LOG_DIRECTORY + "/")
        return "" if lexical else f"a log file must be in {LOG_DIRECTORY}"
    real = os.path.realpath(root.at(path))
    directory = os.path.realpath(root.at(LOG_DIRECTORY))
    if not real.startswith(directory + os.sep):
        return f"a link leads out of {LOG_DIRECTORY}"
    try:
        regular = stat.S_ISREG(os.stat(real).st_mode)
    except OSError:
        return ""  # it will be created
    return "" if regular else "it exists and is not a regular file"


def missing_directory(root: Root, path: str, *, sees_all: bool = True) -> str:
    """The directory of PATH if it is missing, so that libvirt cannot log there; else "".

    SEES_ALL as in objection().
    """
    directory = os.path.dirname(path)
    if not sees_all and not may_reach(root, directory):
        return ""
    try:
        return "" if stat.S_ISDIR(os.stat(root.at(directory)).st_mode) else directory
    except (FileNotFoundError, NotADirectoryError):
        return directory
    except OSError:
        return ""  # unknown


def sizes(root: Root, paths: Iterable[str]) -> Mapping[str, int]:
    """The size of each file in bytes; 0 if it does not exist."""
    found = {}
    for path in paths:
        try:
            found[path] = os.stat(root.at(path)).st_size
        except OSError:
            found[path] = 0
    return found

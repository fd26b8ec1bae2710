# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that libvirt's daemons log to: which ones a client may name, and their sizes.

A daemon opens such a file as root, creates it if needed and appends to it, so a free choice could
damage any file of the host. The file must therefore be in libvirt's own log directory, which only
root can write to, and no link may lead out of it.
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
    """Why a client may not make a daemon log to PATH: the rule that it breaks, "" for none.

    Unless the client SEES_ALL, it is not told what exists below a directory that it cannot enter.
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
        return ""  # it is to be made
    return "" if regular else "it exists and is not a regular file"


def missing_directory(root: Root, path: str, *, sees_all: bool = True) -> str:
    """The directory of PATH if it is missing, which keeps libvirt from logging; else "".

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
        return ""  # nobody can tell


def sizes(root: Root, paths: Iterable[str]) -> Mapping[str, int]:
    """The bytes in each of the files; 0 for what is not there."""
    found = {}
    for path in paths:
        try:
            found[path] = os.stat(root.at(path)).st_size
        except OSError:
            found[path] = 0
    return found

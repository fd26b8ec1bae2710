# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds a configuration file that a package manager moved away: rpm renames an edited file to
NAME.rpmsave when its package is removed, dpkg's maintainer scripts to NAME.dpkg-bak and similar.

A rename keeps inode and modification time, unlike a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".rpmsave", ".rpmorig", ".dpkg-old", ".dpkg-bak", ".dpkg-remove")


@dataclass(frozen=True)
class Identity:
    """Identifies a file independently of its name."""

    inode: int
    changed: int  # last modification of its contents, ns


def identity(path: Path) -> Identity | None:
    """The identity of the file at PATH, None if it cannot be read."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return Identity(status.st_ino, status.st_mtime_ns)


def moved_to(path: Path, known: Identity) -> Path | None:
    """The new path of the file with identity KNOWN that a package manager moved from PATH."""
    for suffix in SUFFIXES:
        candidate = path.with_name(path.name + suffix)
        if identity(candidate) == known:
            return candidate
    return None

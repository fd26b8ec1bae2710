# SPDX-License-Identifier: LGPL-2.1-or-later
"""The operating system, from os-release(5)."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import dataclass

from nestd.host.files import read_regular
from nestd.host.root import Root

_PATHS = ("/etc/os-release", "/usr/lib/os-release")


@dataclass(frozen=True)
class OsRelease:
    """The fields of the same names; all are empty if there is no such file."""

    id: str = ""  # "rhel", "fedora", "debian"
    version_id: str = ""  # "9.4"
    pretty_name: str = ""  # "Red Hat Enterprise Linux 9.4 (Plow)"


def read_os_release(root: Root) -> OsRelease:
    """Read it; a line that a shell could not parse is skipped."""
    for path in _PATHS:
        try:
            data = read_regular(root.follow(path))
        except OSError:
            continue
        if data is not None:
            return _release(data.decode("utf-8", "replace"))
    return OsRelease()


def _release(text: str) -> OsRelease:
    fields = {}
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator:
            with contextlib.suppress(ValueError):
                fields[name.strip()] = " ".join(shlex.split(value))
    return OsRelease(
        id=fields.get("ID", ""),
        version_id=fields.get("VERSION_ID", ""),
        pretty_name=fields.get("PRETTY_NAME", ""),
    )

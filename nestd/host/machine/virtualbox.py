# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether VirtualBox, which needs the processor's virtualization for itself, is installed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from nestd.host.files import read_regular
from nestd.host.root import Root

# Its loaded driver; the settings of Oracle's package; the path in distributions.
_SIGNS = (
    "/sys/module/vboxdrv",
    "/etc/vbox/vbox.cfg",
    "/opt/VirtualBox",
    "/usr/lib/virtualbox",
    "/usr/lib64/virtualbox",
)
_SOURCES = "/usr/src"  # of the driver, for DKMS
_PACKAGES = "/var/lib/dpkg/status"
_NUMBER = rb"(\d+)\.(\d+)\.(\d+)"
_IN_SETTINGS = re.compile(rb"^INSTALL_VER=['\"]?" + _NUMBER, re.MULTILINE)
_IN_PACKAGES = re.compile(
    rb"^Package: virtualbox(?:-\d[\d.]*)?\nStatus: install ok installed\n"
    rb"(?:.+\n)*?Version: (?:\d+:)?" + _NUMBER,
    re.MULTILINE,
)
_SOURCE_NAME = re.compile(rb"(?:vboxhost|virtualbox)-" + _NUMBER)
_MOST_BYTES = 64 << 20

Version = tuple[int, ...]


class VirtualBox(NamedTuple):
    """sign is a path that proves the installation, "" if none; version is () if unknown."""

    sign: str = ""
    version: Version = ()


NO_VIRTUALBOX = VirtualBox()


def find_virtualbox(root: Root) -> VirtualBox:
    """Search for it. Blocks if it is installed: dpkg's list has some megabytes."""
    sign = next((path for path in _SIGNS if os.path.exists(root.at(path))), "")
    if not sign:
        return NO_VIRTUALBOX
    return VirtualBox(sign, next(_versions(root), ()))


def _versions(root: Root) -> Iterator[Version]:
    """The versions found, the most reliable source first."""
    for pattern, path in (
        (re.compile(_NUMBER), "/sys/module/vboxdrv/version"),
        (_IN_SETTINGS, "/etc/vbox/vbox.cfg"),
        (_IN_PACKAGES, _PACKAGES),
    ):
        if found := pattern.search(_read(root, path)):
            yield tuple(map(int, found.groups()))
    try:
        names = os.listdir(os.fsencode(root.at(_SOURCES)))
    except OSError:
        return
    found_names = filter(None, map(_SOURCE_NAME.match, names))
    versions = sorted(tuple(map(int, each.groups())) for each in found_names)
    yield from versions[-1:]


def _read(root: Root, path: str) -> bytes:
    try:
        return read_regular(root.at(path), _MOST_BYTES) or b""
    except OSError:
        return b""

# SPDX-License-Identifier: LGPL-2.1-or-later
"""kvm.conf, the only modprobe.d file that nestd edits; administrators and qemu's package do too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nestd.formats.modprobe.next_load import ConfigFile
from nestd.host.files import read_below
from nestd.host.modprobe.config import MOST_BYTES
from nestd.host.root import Root

PATH = "/etc/modprobe.d/kvm.conf"


@dataclass(frozen=True)
class OwnFile:
    """kvm.conf: its path, its bytes (None: no file) and why it cannot be read ("" if it can).

    base is the content that an edit starts from: the bytes, or those of the file of the same name
    in a lower directory, which a new file would mask.
    """

    path: str
    place: Path  # on the disk
    data: bytes | None
    base: bytes
    problem: str = ""


def read_own(root: Root, files: tuple[ConfigFile, ...]) -> OwnFile:
    """Read it. FILES are the files that kmod reads. Never raises OSError: see problem."""
    place = root.at(PATH)
    try:
        place = root.follow(PATH)
        data = read_below(root, PATH, MOST_BYTES)
    except OSError as error:
        return OwnFile(PATH, place, None, b"", problem=error.strerror or str(error))
    name = os.path.basename(PATH)
    lower = (file.data for file in files if os.path.basename(file.path) == name)
    return OwnFile(PATH, place, data, next(lower, b"") if data is None else data)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lists of modules that are loaded at boot by name, regardless of the hardware.

systemd-modules-load honors modprobe.d's blacklist lines (systemd, src/shared/module-util.c);
initial RAM disk scripts and other init systems may not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nestd.host.files import read_regular
from nestd.host.root import Root

_DIRECTORIES = ("/etc", "/run", "/usr/local/lib", "/usr/lib")
_FOR_INIT = ("/etc/modules",)
_FOR_INITRAMFS = ("/etc/initramfs-tools/modules",)
_SYSTEMD = ("/usr/lib/systemd/systemd-modules-load", "/lib/systemd/systemd-modules-load")
_MOST_BYTES = 64 << 10


@dataclass(frozen=True)
class BootLoads:
    """The file that lists each module, by the module's name with "_".

    heeds_blacklist are the modules that only systemd-modules-load loads; the others may be loaded
    despite a blacklist line. places are the paths that change whenever the lists do.
    """

    named: Mapping[str, str]
    heeds_blacklist: frozenset[str]
    places: frozenset[Path]


def read_boot_loads(root: Root) -> BootLoads:
    """Read the lists below ROOT; unreadable ones count as empty. Never raises OSError."""
    places = {root.at(file) for file in (*_FOR_INIT, *_FOR_INITRAMFS, *_SYSTEMD)}
    by_init: dict[str, str] = {}
    for path in (*_listed_files(root, places), *_FOR_INIT):
        by_init.update(_names(root, path))
    by_initramfs = {name: path for file in _FOR_INITRAMFS for name, path in _names(root, file)}
    systemd = any(os.path.exists(root.at(path)) for path in _SYSTEMD)
    heeding = by_init.keys() - by_initramfs.keys() if systemd else ()
    return BootLoads({**by_init, **by_initramfs}, frozenset(heeding), frozenset(places))


def _listed_files(root: Root, places: set[Path]) -> Iterator[str]:
    for base in _DIRECTORIES:
        directory = f"{base}/modules-load.d"
        places.add(root.at(directory))
        try:
            names = os.listdir(root.follow(directory))
        except OSError:
            continue
        for name in sorted(names):
            if name.endswith(".conf"):
                places.add(root.at(f"{directory}/{name}"))
                yield f"{directory}/{name}"


def _names(root: Root, path: str) -> Iterator[tuple[str, str]]:
    """The modules in a list, each with PATH: first words of lines, except "#" and ";" comments."""
    try:
        data = read_regular(root.follow(path), _MOST_BYTES) or b""
    except OSError:
        return
    for line in data.decode("ascii", "replace").splitlines():
        word = line.strip().partition(" ")[0]
        if word and word[0] not in "#;":
            yield word.replace("-", "_"), path

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel says of a module: /sys/module/NAME and the module lists of /lib/modules."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from nestd.host.files import read_regular
from nestd.host.root import Root

_SYSFS_BYTES = 64 << 10  # of a file; the kernel shows a page, which has 4 to 64 KiB
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Availability(Enum):
    """Where a module's code is: a file to load, the kernel image, or nowhere."""

    LOADABLE = "loadable"
    BUILTIN = "builtin"
    MISSING = "missing"


@dataclass(frozen=True)
class ModuleFacts:
    """One module at one moment. refcount is -1 where the kernel gives none (built in, going)."""

    name: str
    availability: Availability
    initstate: str = ""  # "live", "coming", "going", or "" where not loaded
    refcount: int = -1
    holders: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    writable: frozenset[str] = frozenset()
    on_disk: bool = True  # depmod lists its file: what is loaded can be loaded again

    @property
    def loaded(self) -> bool:
        """Whether the module is there and has finished its start."""
        return self.initstate == "live"

    @property
    def in_transit(self) -> bool:
        """Whether it is just being loaded or unloaded."""
        return self.initstate in ("coming", "going")


def read_module(root: Root, release: str, name: str) -> ModuleFacts:
    """The facts about NAME (spelled with "_"), also of one that comes or goes at this moment."""
    directory = root.at(f"/sys/module/{name}")
    initstate = _text(directory / "initstate")
    # A built-in module has a directory without initstate; so has one that is just coming, but that
    # one is also listed in modules.dep (libkmod, kmod_module_get_initstate).
    listed = listed_availability(root, release, name)
    availability = Availability.LOADABLE if initstate else listed
    if availability is Availability.MISSING and directory.is_dir():
        availability = Availability.BUILTIN
    parameters, writable = _parameters(directory / "parameters")
    return ModuleFacts(
        name=name,
        availability=availability,
        initstate=initstate,
        refcount=_integer(_text(directory / "refcnt")),
        holders=tuple(sorted(_entries(directory / "holders"))),
        parameters=MappingProxyType(parameters),
        writable=frozenset(writable),
        on_disk=listed is Availability.LOADABLE,
    )


def listed_availability(root: Root, release: str, name: str) -> Availability:
    """What depmod's lists say of NAME: modules.builtin, then modules.dep."""
    directory = root.at(f"/lib/modules/{release}")
    if name in _listed(directory / "modules.builtin"):
        return Availability.BUILTIN
    if name in _listed(directory / "modules.dep"):
        return Availability.LOADABLE
    return Availability.MISSING


def load_time(root: Root, name: str) -> float | None:
    """The latest time at which NAME may have been loaded, in seconds of the epoch; None where it
    is not there.

    sysfs gives a directory the time when it was first looked up after the module's load, or again
    after memory ran short: never an earlier time than that of the load.
    """
    try:
        return os.stat(root.at(f"/sys/module/{name}")).st_mtime if name else None
    except OSError:
        return None


def modules_disabled(root: Root) -> bool:
    """Whether kernel.modules_disabled forbids loading and unloading until the next boot."""
    return _text(root.at("/proc/sys/kernel/modules_disabled")) == "1"


def _listed(path: Path) -> frozenset[str]:
    try:
        status = path.stat()
    except OSError:
        return frozenset()
    return _names_in_list(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _names_in_list(path: Path, _mtime: int, _size: int) -> frozenset[str]:
    """The modules' names of a list whose lines begin with the path of a .ko file."""
    names = set()
    try:
        for line in (read_regular(path) or b"").splitlines():
            basename = os.path.basename(line.split(b":", 1)[0].strip())
            stem = basename.split(b".ko", 1)[0].replace(b"-", b"_")
            names.add(stem.decode("ascii", "replace"))
    except OSError:
        return frozenset()
    return frozenset(names)


def _parameters(directory: Path) -> tuple[dict[str, str], set[str]]:
    values, writable = {}, set()
    for name in sorted(_entries(directory)):
        path = directory / name
        try:
            mode = path.stat().st_mode
            if not mode & stat.S_IRUSR:
                continue
            data = read_regular(path, _SYSFS_BYTES) or b""
        except OSError:
            continue
        values[name] = data.decode("utf-8", "backslashreplace").rstrip("\n")
        if mode & stat.S_IWUSR:
            writable.add(name)
    return values, writable


def _entries(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        data = read_regular(path, _SYSFS_BYTES) or b""
    except OSError:
        return ""
    return data.decode("ascii", "replace").strip()


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return -1

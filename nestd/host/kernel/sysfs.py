# SPDX-License-Identifier: LGPL-2.1-or-later
"""A module's state: /sys/module/NAME and depmod's lists in /lib/modules."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

from nestd.host import fingerprint
from nestd.host.files import read_regular
from nestd.host.fingerprint import TICK_SECONDS, Fingerprint
from nestd.host.root import Root

_T = TypeVar("_T")

_SYSFS_BYTES = 64 << 10  # per file; sysfs shows at most a page, 4 to 64 KiB
_DEP, _BUILTIN = "modules.dep", "modules.builtin"
_NOTHING: Mapping[str, str] = MappingProxyType({})
_DEVICE = ("/sys/devices/virtual/misc/kvm", "/dev/kvm")
# Missing, or just disappearing (ENODEV: sysfs of a module that is being unloaded).
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV)


class Availability(Enum):
    """Where a module's code is: in a file, in the kernel image, or nowhere."""

    LOADABLE = "loadable"
    BUILTIN = "builtin"
    MISSING = "missing"


@dataclass(frozen=True)
class ModuleFacts:
    """One module at one moment. refcount is -1 if the kernel gives none (built in, going)."""

    name: str
    availability: Availability
    initstate: str = ""  # "live", "coming", "going", or "" if not loaded
    refcount: int = -1
    holders: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    writable: frozenset[str] = frozenset()
    on_disk: bool = True  # depmod lists its file, so that it can be loaded again
    error: str = ""  # why the other fields are unknown, as part of a sentence; else ""

    @property
    def loaded(self) -> bool:
        """Whether the module is loaded and initialized."""
        return self.initstate == "live"

    @property
    def in_transit(self) -> bool:
        """Whether it is being loaded or unloaded."""
        return self.initstate in ("coming", "going")


def read_module(root: Root, release: str, name: str) -> ModuleFacts:
    """Read NAME once, see ModuleReader.read()."""
    return ModuleReader(root, release).read(name)


class ModuleReader:
    """Reads modules below ROOT for the kernel RELEASE; caches what cannot have changed.

    A read-only parameter keeps its value until the next load, which creates a new directory in
    sysfs; everything else is read each time. For files outside sysfs (--root) the time stamps
    decide.
    """

    def __init__(self, root: Root, release: str) -> None:
        self._root = root
        self._release = release
        self._directory = f"{root.at('/sys/module')}/"
        self._lists = [_list(root, release, name) for name in (_DEP, _BUILTIN)]
        self._glance = _glance_at_sysfs if root.is_this_machine else _glance_at_files
        self._known: dict[str, tuple[object, ModuleFacts]] = {}

    def read(self, name: str) -> ModuleFacts:
        """The facts about NAME (spelled with "_"), even while it is being loaded or unloaded.

        Returns the same object as before if nothing has changed. Never raises OSError: what cannot
        be read is not taken for absent, see ModuleFacts.error.
        """
        known, glance = self._known.get(name), None
        with contextlib.suppress(OSError):
            writable = known[1].writable if known is not None else ()
            glance = self._glance(self._directory + name, writable), self._versions()
            if known is not None and known[0] == glance:
                return known[1]
        facts = self._read(name)
        if known is not None and facts == known[1]:
            facts = known[1]
        if facts.in_transit or facts.error or (known is None and facts.writable):
            glance = None  # it may still set parameters; the writable ones are known now
        self._known[name] = glance or _NOTHING_SEEN, facts
        return facts

    def _versions(self) -> object:
        return [_version(path) for path in self._lists]

    def _read(self, name: str) -> ModuleFacts:
        directory, errors = self._directory + name, _Errors()
        initstate = errors.collect(lambda: _text(f"{directory}/initstate"), "")
        # A built-in module has a directory without initstate. So does a module that is just being
        # loaded, but that is also listed in modules.dep (libkmod, kmod_module_get_initstate).
        unknown = Availability.LOADABLE
        listed = errors.collect(
            lambda: listed_availability(self._root, self._release, name), unknown
        )
        availability = Availability.LOADABLE if initstate else listed
        if availability is Availability.MISSING and errors.collect(
            lambda: _exists(directory), False
        ):
            availability = Availability.BUILTIN
        nothing: tuple[dict[str, str], set[str]] = ({}, set())
        no_one: list[str] = []
        parameters, writable = errors.collect(
            lambda: _parameters(f"{directory}/parameters"), nothing
        )
        holders = errors.collect(lambda: _entries(f"{directory}/holders"), no_one)
        return ModuleFacts(
            name=name,
            availability=availability,
            initstate=initstate,
            refcount=_integer(errors.collect(lambda: _text(f"{directory}/refcnt"), "")),
            holders=tuple(sorted(holders)),
            parameters=MappingProxyType(parameters),
            writable=frozenset(writable),
            on_disk=listed is Availability.LOADABLE,
            error=errors.first,
        )


_NOTHING_SEEN = object()  # equal to no glance


def _glance_at_sysfs(directory: str, writable: Iterable[str]) -> object:
    """A value that differs if the module or a WRITABLE parameter has changed. Raises OSError."""
    try:
        found = os.stat(directory)
    except FileNotFoundError:
        return None
    files = [f"{directory}/parameters/{name}" for name in sorted(writable)]
    return (
        *(found.st_ino, found.st_dev, found.st_ctime_ns),
        _entries(f"{directory}/holders"),
        *(read_regular(path, _SYSFS_BYTES) for path in (f"{directory}/initstate", *files)),
        read_regular(f"{directory}/refcnt", _SYSFS_BYTES),
    )


def _glance_at_files(directory: str, _writable: Iterable[str]) -> object:
    """The same for files on disk. Raises OSError also if their time stamps are too recent."""
    stamps: list[tuple[object, ...]] = []
    newest = 0.0
    for place in (directory, f"{directory}/holders", f"{directory}/parameters"):
        try:
            with os.scandir(place) as entries:
                found = [(each.name, each.stat()) for each in entries]
        except FileNotFoundError:
            stamps.append((place,))
            continue
        for name, each in sorted(found):
            newest = max(newest, each.st_ctime)
            stamps.append((name, each.st_mode, each.st_size, each.st_ino, each.st_ctime_ns))
    if time.time() - newest < TICK_SECONDS:
        raise BlockingIOError
    return stamps


class _Errors:
    """Collects read errors."""

    first = ""

    def collect(self, read: Callable[[], _T], otherwise: _T) -> _T:
        """The result of READ, or OTHERWISE if it fails."""
        try:
            return read()
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            self.first = self.first or reason
            return otherwise


def listed_availability(root: Root, release: str, name: str) -> Availability:
    """NAME's availability by depmod's lists: modules.builtin, then modules.dep. Raises OSError."""
    if name in _listed(_list(root, release, _BUILTIN)):
        return Availability.BUILTIN
    if name in _listed(_list(root, release, _DEP)):
        return Availability.LOADABLE
    return Availability.MISSING


def needed_modules(root: Root, release: str, name: str) -> tuple[str, ...]:
    """The modules that NAME needs, in loading order (modules.dep). Raises OSError."""
    path = _list(root, release, _DEP)
    version = _version(path)
    return _needs_in_list(path, version, name)[::-1] if version else ()


def installed_modules(root: Root, release: str) -> frozenset[str]:
    """The modules that depmod lists for RELEASE. Raises OSError."""
    return _listed(_list(root, release, _DEP))


def read_lists(root: Root, release: str, names: Iterable[str]) -> None:
    """Read the lists used by the functions above, in a worker thread since it may take a while.

    They read a list again if it has changed since. Raises OSError.
    """
    for name in names:
        listed_availability(root, release, name)
        needed_modules(root, release, name)
    installed_modules(root, release)


def other_providers(root: Root, known: Container[str]) -> tuple[str, ...]:
    """Modules named kvm_... other than KNOWN, loaded ones before built-in ones.

    "kvm" itself counts if it is loaded and KNOWN lacks it (riscv64, loongarch64).
    """
    directory = root.at("/sys/module")
    try:
        names = [name for name in os.listdir(directory) if name.startswith("kvm_")]
    except OSError:
        return ()
    loaded = {name: os.path.exists(directory / name / "initstate") for name in (*names, "kvm")}
    others = [name for name in loaded if name not in known and (name != "kvm" or loaded[name])]
    return tuple(sorted(others, key=lambda name: (not loaded[name], name == "kvm", name)))


def has_device(root: Root) -> bool:
    """Whether KVM's character device exists, or at least its node."""
    return any(os.path.exists(root.at(path)) for path in _DEVICE)


def load_time(root: Root, name: str) -> float | None:
    """The latest time at which NAME may have been loaded, in seconds since the epoch; None if it
    is not loaded.

    sysfs sets a directory's time at its first lookup after the load, or again after memory ran
    short: never earlier than the load.
    """
    try:
        return os.stat(root.at(f"/sys/module/{name}")).st_mtime if name else None
    except OSError:
        return None


def modules_disabled(root: Root) -> bool:
    """Whether kernel.modules_disabled forbids loading and unloading until the next boot."""
    try:
        return _text(str(root.at("/proc/sys/kernel/modules_disabled"))) == "1"
    except OSError:
        return False  # the kernel's own refusal will say so


@lru_cache(maxsize=8)
def _list(root: Root, release: str, name: str) -> str:
    """The path of one of depmod's lists."""
    return str(root.at(f"/lib/modules/{release}/{name}"))


def _listed(path: str) -> frozenset[str]:
    """The modules in one of depmod's lists."""
    version = _version(path)
    return _names_in_list(path, version) if version else frozenset()


def _version(path: str) -> Fingerprint | None:
    """The file's fingerprint, None if it does not exist. Raises OSError."""
    try:
        return fingerprint.of(os.stat(path))
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


@lru_cache(maxsize=8)
def _names_in_list(path: str, _version: Fingerprint) -> frozenset[str]:
    """The names of the modules in a list whose lines begin with the path of a .ko file."""
    lines = (read_regular(path) or b"").splitlines()
    return frozenset(_module_of(line.split(b":", 1)[0]) for line in lines)


@lru_cache(maxsize=16)
def _needs_in_list(path: str, _version: Fingerprint, name: str) -> tuple[str, ...]:
    """The words after "NAME:" in a list."""
    for line in (read_regular(path) or b"").splitlines():
        file, _, needed = line.partition(b":")
        if _module_of(file) == name:
            return tuple(map(_module_of, needed.split()))
    return ()


def _module_of(file: bytes) -> str:
    stem = os.path.basename(file.strip()).split(b".ko", 1)[0].replace(b"-", b"_")
    return stem.decode("ascii", "replace")


def _parameters(directory: str) -> tuple[dict[str, str], set[str]]:
    values, writable, mode = {}, set(), 0
    for name in sorted(_entries(directory)):
        path = f"{directory}/{name}"
        try:
            mode = os.stat(path).st_mode
            if not mode & stat.S_IRUSR:
                continue
            data = read_regular(path, _SYSFS_BYTES) or b""
        except OSError as error:
            if error.errno in _ABSENT or (error.errno == errno.EACCES and not mode & stat.S_IROTH):
                continue
            raise
        values[name] = data.decode("utf-8", "backslashreplace").rstrip("\n")
        if mode & stat.S_IWUSR:
            writable.add(name)
    return values, writable


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError as error:
        if error.errno in _ABSENT:
            return []
        raise


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise
    return True


def _text(path: str) -> str:
    try:
        data = read_regular(path, _SYSFS_BYTES) or b""
    except OSError as error:
        if error.errno in _ABSENT:
            return ""
        raise
    return data.decode("ascii", "replace").strip()


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return -1

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Python imports this in a nestd under test, to simulate a slow disk or unreadable files.

NESTD_TEST_SHIM names a control directory, NESTD_TEST_ROOT the host's files. In the former, "fault"
contains an errno and a path: every call that opens, lists or looks up that path fails with it.
While "record" exists, all paths that are accessed are appended to it. While "slow" exists, fsync(2)
takes long and each open(2) a little, and calls that wait on the event loop are appended to it.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

FSYNC_SECONDS, OPEN_SECONDS = 0.2, 0.005
# Audit events of calls that wait for a disk, and those of them that access a path.
_LOOKS = ("open", "os.listdir", "os.scandir")
_CHANGES = ("os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate")
_MEMORY = ("/sys/", "/proc/", "/dev/", "/run/")  # below the root, but not on a disk

_busy = threading.local()


class Shim:
    """An audit hook: it sees each such call before it is made."""

    def __init__(self, directory: str, root: str) -> None:
        self._directory = directory
        self._root = root
        sys.addaudithook(self._audited)
        for name in ("stat", "lstat", "readlink"):
            # Not a function: pathlib of Python 3.9 would bind one as a method.
            setattr(os, name, functools.partial(self._looking, getattr(os, name)))
        os.fsync = self._syncing(os.fsync)  # type: ignore[assignment]

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _LOOKS or event in _CHANGES:
            self._before(arguments[0], event, OPEN_SECONDS)

    def _looking(
        self, function: Callable[..., Any], path: Any, *arguments: Any, **options: Any
    ) -> Any:
        self._before(path, function.__name__, 0.0)
        return function(path, *arguments, **options)

    def _syncing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def sync(fd: Any) -> Any:
            self._before(f"/proc/self/fd/{fd}", "fsync", FSYNC_SECONDS)
            return function(fd)

        return sync

    def _before(self, path: Any, what: str, seconds: float) -> None:
        if isinstance(path, int) or getattr(_busy, "is_us", False):
            return
        _busy.is_us = True
        try:
            place = os.fsdecode(path) if path is not None else "."
            if what == "fsync" or place.startswith(self._root):
                self._meet(place, what, seconds)
        finally:
            _busy.is_us = False

    def _meet(self, place: str, what: str, seconds: float) -> None:
        inside = place[len(self._root) :] if place.startswith(self._root) else place
        if what != "fsync" and self._has("record"):
            self._add("record", inside)
        number, _, bad = self._fault().partition(" ")
        if bad and inside == bad and what not in _CHANGES and not _is_the_machine(_stack()):
            raise OSError(int(number), os.strerror(int(number)), place)
        is_slow = what == "fsync" or (seconds and not inside.startswith(_MEMORY))
        if is_slow and self._has("slow"):
            time.sleep(seconds)
            if threading.current_thread() is threading.main_thread():
                self._report(inside, what)

    def _report(self, inside: str, what: str) -> None:
        ours = _stack()
        if not _is_the_machine(ours):
            way = " < ".join(each.name for each in reversed(ours))
            if not way.endswith(" < _serve < main < <module>"):  # not at the start
                self._add("slow", f"{what} {inside}: {way}")

    def _fault(self) -> str:
        try:
            with open(f"{self._directory}/fault") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _has(self, name: str) -> bool:
        return os.access(f"{self._directory}/{name}", os.F_OK)

    def _add(self, name: str, line: str) -> None:
        with open(f"{self._directory}/{name}", "a") as file:
            file.write(line + "\n")


def _stack() -> list[traceback.FrameSummary]:
    return [each for each in traceback.extract_stack(limit=30) if "/nestd/" in each.filename]


def _is_the_machine(stack: list[traceback.FrameSummary]) -> bool:
    """Whether the call comes from the simulated machine, not from nestd."""
    return any("/simulated/" in each.filename and each.name != "read_module" for each in stack)


if "NESTD_TEST_SHIM" in os.environ:
    Shim(os.environ["NESTD_TEST_SHIM"], os.environ["NESTD_TEST_ROOT"])

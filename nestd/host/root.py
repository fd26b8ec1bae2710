# SPDX-License-Identifier: LGPL-2.1-or-later
"""The only place that maps an absolute path to a file of the inspected host."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS


@dataclass(frozen=True)
class Root:
    """A host's file tree: "/" for this machine, or the directory given with --root."""

    path: Path = Path("/")

    def at(self, absolute: str) -> Path:
        """The file at ABSOLUTE, a path as seen from inside this root."""
        return self.path / absolute.lstrip("/")

    def follow(self, absolute: str) -> Path:
        """The file that ABSOLUTE resolves to, with links resolved inside this root.

        A path that does not exist resolves to itself. Raises OSError ELOOP.
        """
        *_, last = self.trail(absolute)
        return last

    def trail(self, absolute: str) -> Iterator[Path]:
        """All paths that follow() visits, links and directories included; the file comes last.

        Raises OSError ELOOP after them.
        """
        here, rest, links = PurePosixPath("/"), deque(PurePosixPath(absolute).parts), 0
        while rest:
            part = rest.popleft()
            if part == "..":
                here = here.parent
                yield self.at(str(here))
                continue
            here /= part  # an absolute part replaces everything before it
            place = self.at(str(here))
            if here.name:
                yield place
            if here.name and place.is_symlink():
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), absolute)
                rest.extendleft(reversed(PurePosixPath(os.readlink(place)).parts))
                here = here.parent
        yield self.at(str(here))

    @property
    def is_this_machine(self) -> bool:
        """Whether the running kernel's /sys and /proc are those of this root."""
        return self.path.resolve() == Path("/")

    @property
    def has_our_processes(self) -> bool:
        """Whether the process ids in this root's /proc are those of the running kernel."""
        try:
            return os.path.samefile(self.at("/proc"), "/proc")
        except OSError:
            return False

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one place that turns an absolute path into a file of the host that nestd looks at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Root:
    """A host's file tree: "/" for this machine, or the directory given with --root."""

    path: Path = Path("/")

    def at(self, absolute: str) -> Path:
        """The file that has the path ABSOLUTE as seen from inside this root."""
        return self.path / absolute.lstrip("/")

    @property
    def is_this_machine(self) -> bool:
        """Whether the running kernel's /sys and /proc are those of this root."""
        return self.path.resolve() == Path("/")

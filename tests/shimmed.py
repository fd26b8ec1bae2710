# SPDX-License-Identifier: LGPL-2.1-or-later
"""A nestd with a slow disk or with unreadable files: see shim/sitecustomize.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Shim:
    """Controls the shim of the nestd in DIRECTORY, and reads its records."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment for the nestd."""
        return {
            "NESTD_TEST_SHIM": str(self.directory),
            "NESTD_TEST_ROOT": str(self.directory / "root"),
            "PYTHONPATH": f"{TESTS / 'shim'}{os.pathsep}{TESTS.parent}",
        }

    def start_recording(self) -> None:
        self._file("record").touch()

    def recorded(self) -> list[str]:
        """The paths that were accessed since, each once."""
        lines = self._file("record").read_text().splitlines()
        self._file("record").unlink()
        return sorted(set(lines))

    @contextmanager
    def fault(self, number: int, path: str) -> Iterator[None]:
        """Make every access to PATH fail with the errno NUMBER."""
        new = self._file("fault.new")
        new.write_text(f"{number} {path}")
        os.rename(new, self._file("fault"))
        try:
            yield
        finally:
            self._file("fault").unlink()

    def slow_down(self) -> None:
        """Make the disk slow from now on."""
        self._file("slow").touch()

    def on_loop(self) -> list[str]:
        """The calls that waited for the slow disk on the event loop, each once, with call stack."""
        return sorted(set(self._file("slow").read_text().splitlines()))

    def _file(self, name: str) -> Path:
        return self.directory / name

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python versions on this machine that nestd supports, and a virtual environment for each."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 9)


@dataclass(frozen=True)
class Python:
    version: str  # as in "3.9"
    program: str

    def venv(self, checkout: Path) -> Path:
        return checkout / ".venv" / self.version

    def make_venv(self, checkout: Path, more: Sequence[str] = ()) -> None:
        """Makes its environment if absent, with this checkout and the tests' dependencies.

        more: other packages of PyPI.

        Raises subprocess.CalledProcessError if pip cannot install something.
        """
        venv = self.venv(checkout)
        python = str(venv / "bin" / "python")
        if not _succeeds(python, "-c", "import pip"):
            subprocess.run([self.program, "-m", "venv", "--clear", str(venv)], check=True)
        install = ["-m", "pip", "install", "-qq", "--root-user-action=ignore"]
        install += ["--disable-pip-version-check", "--editable", ".[test]", *more]
        subprocess.run([python, *install], check=True, cwd=checkout)


def find() -> list[Python]:
    """One for each minor version from OLDEST on, oldest first: those on the PATH, then pyenv's."""
    # Under sudo: the home directory of the user who called it.
    user = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    directories = [Path(name) for name in os.get_exec_path()]
    directories += sorted(Path(pwd.getpwnam(user).pw_dir).glob(".pyenv/versions/*/bin"))
    found: dict[tuple[int, ...], Python] = {}
    for directory in directories:
        for program in directory.glob("python3.*"):
            version = _version(program)
            if version >= OLDEST:
                found.setdefault(version, Python(".".join(map(str, version)), str(program)))
    return [found[version] for version in sorted(found)]


def _version(program: Path) -> tuple[int, ...]:
    """An interpreter's version; () for other files, and if it cannot make environments."""
    if re.fullmatch(r"python3\.\d+", program.name) is None:
        return ()
    # A pyenv shim is on the PATH even for a version that is not enabled, and fails.
    if not _succeeds(str(program), "-c", "import ensurepip, venv"):
        return ()
    return tuple(map(int, program.name[len("python") :].split(".")))


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0

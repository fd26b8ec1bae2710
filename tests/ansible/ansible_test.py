# SPDX-License-Identifier: LGPL-2.1-or-later
"""ansible-test on the collection, laid out as it is when installed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine import Ansible

SECONDS = 1200  # it installs its dependencies from PyPI
# ansible-test downloads pip. This one is Python's own.
_GET_PIP = "import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n"


@dataclass(frozen=True)
class AnsibleTest:
    """One version of ansible-test, with a copy of the collection to run in."""

    ansible: Ansible
    directory: Path

    def run(self, *words: str, programs: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of its commands, with the directory "programs" first on the PATH."""
        home = self._home()
        path = [*([str(programs)] if programs else []), os.environ["PATH"]]
        version = ".".join(self._python.split(".")[:2])
        return subprocess.run(
            [self.ansible.programs / "ansible-test", *words, "--venv", "--python", version],
            cwd=self._collection(),
            env={"HOME": str(home), "PATH": ":".join(path), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )

    @property
    def _python(self) -> str:
        command = [
            self.ansible.programs / "python",
            "-c",
            "import platform as p; print(p.python_version())",
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def _collection(self) -> Path:
        place = self.directory / "ansible_collections/nestd/kvm"
        if not place.exists():
            shutil.copytree(self.ansible.collections / "ansible_collections/nestd/kvm", place)
        return place

    def _home(self) -> Path:
        """A home directory with the files it would otherwise download, and pip's settings."""
        home = self.ansible.programs.parent / "test-home"
        cache = home / ".ansible/test/cache"
        cache.mkdir(parents=True, exist_ok=True)
        [source] = self.ansible.programs.parent.glob(
            "lib/python*/site-packages/ansible_test/_internal/python_requirements.py"
        )
        for version in re.findall(r"pip='([\d.]+)'", source.read_text()):
            (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(_GET_PIP)
        settings = Path.home() / ".config/pip"
        if settings.exists() and not (home / ".config/pip").exists():
            shutil.copytree(settings, home / ".config/pip")
        return home


def nestctl_on(address: str, directory: Path, nestctl: Path) -> Path:
    """A directory with a nestctl that uses that bus."""
    directory.mkdir()
    program = directory / "nestctl"
    words = shlex.join([str(nestctl), "--bus", address])
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    return directory

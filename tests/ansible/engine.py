# SPDX-License-Identifier: LGPL-2.1-or-later
"""ansible-core in a virtual environment of its own, with the collection built and installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fleet

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = CHECKOUT / "packaging/ansible"
# The oldest that the collection supports, and the newest tested one that this Python can run: a new
# release is adopted deliberately, not by chance.
OLDEST, NEWEST = "ansible-core==2.14.18", "ansible-core<2.22"
# Seconds for one playbook; on an idle machine the longest takes one minute.
SECONDS = 1200


@dataclass(frozen=True)
class Result:
    """The result of a task on a host."""

    status: str
    host: str
    task: str
    result: Mapping[str, Any]

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    @property
    def diff(self) -> str:
        """The diff as text, in any form; "" for none."""
        found = self.result.get("diff") or {}
        return "".join(
            each.get("prepared", "") for each in ([found] if isinstance(found, dict) else found)
        )

    @property
    def error(self) -> str:
        """The last word of the name of nestd's error, "" for none."""
        return str(self.result.get("error", {}).get("name", "")).rpartition(".")[2]


@dataclass(frozen=True)
class Run:
    """A finished run of ansible-playbook."""

    status: int
    output: str
    results: tuple[Result, ...] = field(repr=False)

    def of(self, host: str, task: str) -> Result:
        """The result of a task on a host. Raises AssertionError if there is none."""
        found = [each for each in self.results if each.host == host and each.task == task]
        assert len(found) == 1, f"{len(found)} results of {task!r} on {host}\n{self.output}"
        return found[0]


@dataclass(frozen=True)
class Ansible:
    """One version of ansible-core; collections is where nestd.kvm is installed."""

    programs: Path
    collections: Path

    def playbook(
        self,
        directory: Path,
        members: Mapping[str, fleet.Member],
        playbook: Sequence[Mapping[str, object]] | str,
        *options: str,
        forks: int = 4,
    ) -> Run:
        """Run a playbook: a list of plays, or the name of one in the collection."""
        inventory = directory / "inventory.json"
        inventory.write_text(json.dumps(fleet.inventory(members)))
        if not isinstance(playbook, str):
            path = directory / "playbook.json"
            path.write_text(json.dumps(playbook))
            playbook = str(path)
        with tempfile.NamedTemporaryFile(dir=directory, suffix=".jsonl") as results:
            command = [self.programs / "ansible-playbook", "-i", inventory, "-f", str(forks)]
            done = subprocess.run(
                [*command, *options, playbook],
                env=self.environment(directory, results.name),
                cwd=directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
            )
            lines = Path(results.name).read_text().splitlines()
        found = tuple(Result(**json.loads(line)) for line in lines)
        return Run(done.returncode, done.stdout, found)

    def environment(self, directory: Path, results: str) -> dict[str, str]:
        """Variables that keep Ansible out of this user's home and make it write results."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
        return {
            **kept,
            "LC_ALL": "C.UTF-8",
            "HOME": str(directory),
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "ANSIBLE_GATHERING": "explicit",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "RESULTS_FILE": results,
        }


def make(*requirements: str, interpreter: str = sys.executable) -> Ansible:
    """Install these packages, ansible-core among them, and the collection below .cache.

    Existing installations are reused. Raises subprocess.CalledProcessError.
    """
    name = "-".join([*requirements, Path(os.path.realpath(interpreter)).name])
    place = CHECKOUT / ".cache/ansible" / re.sub(r"[=<*]+", "-", name)
    python = place / "bin/python"
    if not (place / "installed").exists():
        subprocess.run([interpreter, "-m", "venv", "--clear", place], check=True)
        install = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*install, *requirements], check=True)
        (place / "installed").touch()
    collections = place / "collections"
    build(place / "bin", place)
    return Ansible(place / "bin", collections)


def build(programs: Path, place: Path) -> Path:
    """Build the collection and install it in PLACE/collections; returns the archive."""
    where = place / "collections"
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(place / "home"),
        "ANSIBLE_COLLECTIONS_PATH": str(where),
        "LC_ALL": "C.UTF-8",
    }
    galaxy = [programs / "ansible-galaxy", "collection"]
    command = [*galaxy, "build", "--force", "--output-path", place, COLLECTION]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    [archive] = place.glob("nestd-kvm-*.tar.gz")
    command = [*galaxy, "install", "--offline", "--force", "-p", where, archive]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return archive

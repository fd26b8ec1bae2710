# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian systems in a directory, for the tiers that need a whole machine.

Debian packages are all that is downloaded, from the apt sources of this machine. An image holds
nothing of nestd: it stays good while nestd changes, and is kept under a hash of what it is made
from, in .cache/.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

SUITE = "bookworm"
# The distribution's own programs, Python among them: mmdebstrap's helpers are written in it.
PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class BuildError(Exception):
    """A program failed; the message has the end of its output."""


def key(sources: Iterable[Path]) -> str:
    """A name that changes with each of the files that an image is made from, and this one."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def build(image: Path, make: Callable[[Path], None]) -> Path:
    """Has MAKE fill the directory IMAGE unless it is there, and removes its former neighbours.

    Raises BuildError if a step fails; build.log in "IMAGE.new" then has more.
    """
    image.parent.mkdir(parents=True, exist_ok=True)
    with _one_builder(image.parent):
        if not image.exists():
            for former in image.parent.iterdir():
                if former.is_dir():
                    shutil.rmtree(former)
            work = image.with_suffix(".new")
            work.mkdir()
            make(work)
            work.rename(image)
    return image


def install(work: Path, root: Path, *arguments: str, suite: str = SUITE) -> None:
    """Runs mmdebstrap with those arguments; ROOT is the directory to make, WORK gets build.log."""
    # In a mount namespace, so that nothing stays mounted below the cache if it is killed.
    command = ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase"]
    # Nothing is left of a build that is cut off: it need not be safe on the disk step by step.
    command += ["--format=directory", "--dpkgopt=force-unsafe-io", *arguments]
    command += [f"--keyring={KEYRING}"] if KEYRING.exists() else []
    command += [suite, str(root)]
    every, main = _apt_sources(suite), _apt_sources(suite, updates=False)
    # A mirror is now and then caught in the middle of an update: once more, then do without.
    for sources in (every, every):
        try:
            return run(work, *command, *sources)
        except BuildError:
            shutil.rmtree(root, ignore_errors=True)
    run(work, *command, *main)


def write(root: Path, files: Mapping[str, str]) -> None:
    """Writes files by their path below ROOT, in place of what is there."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)


def run(work: Path, *command: str) -> None:
    """Runs a program, which must succeed; its output goes to build.log in WORK."""
    path = work / "build.log"
    with open(path, "ab") as log:
        log.write(f"+ {shlex.join(command)}\n".encode())
        log.flush()
        environment = {**os.environ, "PATH": PATH}
        nothing = subprocess.DEVNULL
        done = subprocess.run(command, stdout=log, stderr=log, stdin=nothing, env=environment)
    if done.returncode:
        lines = path.read_text(errors="replace").splitlines()[-30:]
        raise BuildError("\n".join([f"The image cannot be built; the end of {path}:", *lines]))


@contextmanager
def _one_builder(cache: Path) -> Iterator[None]:
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apt_sources(suite: str, updates: bool = True) -> list[str]:
    """This machine's sources of its Debian release, but for that one; none elsewhere.

    They are one-line entries. Debian's unstable has no updates.
    """
    if shutil.which("apt-get") is None:
        return []
    entry = "$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", entry, "Created-By: Packages"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    entries = set()
    for line in lines.splitlines():
        origin, codename, source = line.split(" ", 2)
        wanted = codename == SUITE or (updates and suite != "sid" and codename.startswith(SUITE))
        if origin == "Debian" and wanted:
            entries.add(source.replace(SUITE, suite))
    return sorted(entries)

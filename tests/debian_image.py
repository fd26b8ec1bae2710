# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian systems in directories, for the tiers that need a whole machine.

Only Debian packages are downloaded, from the apt sources of this machine. An image contains nothing
of nestd, so it stays valid while nestd changes; it is kept in .cache/ under a hash of its inputs.
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
# The distribution's own programs, including Python: mmdebstrap's helpers are written in it.
PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class BuildError(Exception):
    """A program failed; the message contains the end of its output."""


def key(sources: Iterable[Path]) -> str:
    """A name that changes with this file and the files that an image is made from."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def build(image: Path, make: Callable[[Path], None]) -> Path:
    """Calls MAKE to fill the directory IMAGE if it is absent, and removes outdated images.

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
    """Runs mmdebstrap with those arguments; it creates ROOT, and WORK gets build.log."""
    # In a mount namespace, so that nothing stays mounted below the cache if it is killed.
    command = ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase"]
    # An interrupted build leaves nothing behind, so dpkg need not sync each step to disk.
    command += ["--format=directory", "--dpkgopt=force-unsafe-io", *arguments]
    command += [f"--keyring={KEYRING}"] if KEYRING.exists() else []
    command += [suite, str(root)]
    every, main = _apt_sources(suite), _apt_sources(suite, updates=False)
    # A mirror may be in the middle of an update: retry once, then do without updates.
    for sources in (every, every):
        try:
            return run(work, *command, *sources)
        except BuildError:
            shutil.rmtree(root, ignore_errors=True)
    run(work, *command, *main)


def write(root: Path, files: Mapping[str, str]) -> None:
    """Writes files by their path below ROOT, replacing existing ones."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)


def run(work: Path, *command: str) -> None:
    """Runs a program, which must succeed; build.log in WORK gets its output."""
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
    """This machine's apt sources, for that Debian release; none if this is not Debian.

    They are one-line entries. Debian's unstable has no updates suite.
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

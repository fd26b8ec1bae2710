#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The minimal Debian systems of the tier fresh, as they are before a user's first command.

    tests/fresh/fresh_root.py     as root: builds them if need be, prints their directory

Beyond Debian's minimum they have sudo and a user who may use it. They are not booted. Another one
is Debian unstable, with the newest Python and the packages that the tier unit needs.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for running it by hand

import debian_image  # noqa: E402
import tiers  # noqa: E402

CHECKOUT = HERE.parent.parent
CACHE = CHECKOUT / ".cache" / "fresh"
SUITES = ("bookworm", "trixie")
NEWEST, NEWEST_PYTHON = "sid", "python3.15"
USER = "somebody"
PLACE = f"home/{USER}/nestd"
SECONDS = 25 * 60
# Not in the distribution's own file, which its package replaces.
CERTIFICATES = "/opt/pip-certificates.pem"
FINISH = f"""
set -eux
useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{USER}
"""
# This machine's settings for access to PyPI, if it needs any.
_PASSED_ON = ("PIP_", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_SCRIPT = (
    'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4" && shift 4 && exec "$@"'
)


def directory() -> Path:
    """The roots' directory, which exists once they have been built."""
    return CACHE / debian_image.key([Path(__file__)])


def build() -> Path:
    """Builds the roots if absent. Needs root. Raises BuildError."""
    return debian_image.build(directory(), _make)


def _make(work: Path) -> None:
    hook = f'--customize-hook=chroot "$1" sh -c {shlex.quote(FINISH)}'
    for suite in SUITES:
        debian_image.install(work, work / suite, "--include=sudo", hook, suite=suite)
    needs = (*tiers.EVERYWHERE, *tiers.TIERS["unit"].needs)
    names = {NEWEST_PYTHON, f"{NEWEST_PYTHON}-venv", "libudev1", *(need.debian for need in needs)}
    include = "--include=" + ",".join(sorted({"sudo", *names}))
    # The release file of unstable is valid for a week, and a mirror may be behind.
    late = '--aptopt=Acquire::Check-Valid-Until "false"'
    debian_image.install(work, work / NEWEST, include, late, hook, suite=NEWEST)


@dataclass(frozen=True)
class FreshRoot:
    """A root of that suite; changes to it are written to DIRECTORY."""

    suite: str
    directory: Path

    @property
    def upper(self) -> Path:
        """Files written here before the first run() appear in the root."""
        path = self.directory / "upper"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def run(self, user: str, *command: str, chdir: str = "/") -> subprocess.CompletedProcess[str]:
        """Runs a program in it as that user, with this machine's network."""
        for name in ("work", "root"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        paths = [directory() / self.suite, self.upper, self.directory / "work"]
        root = str(self.directory / "root")
        nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe"]
        nspawn += [f"--machine=fresh-{os.getpid()}", f"--user={user}", f"--chdir={chdir}"]
        nspawn += [f"--setenv={name}={value}" for name, value in _settings().items()]
        nspawn += [f"--bind-ro={path}:{CERTIFICATES}" for path in _certificates()]
        mount = ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", *map(str, paths), root]
        return subprocess.run(
            [*mount, *nspawn, f"--directory={root}", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            text=True,
            errors="replace",
            env={**os.environ, "SYSTEMD_NSPAWN_TMPFS_TMP": "0"},
        )


def _settings() -> dict[str, str]:
    settings = {name: os.environ[name] for name in os.environ if name.startswith(_PASSED_ON)}
    return {**settings, "PIP_CERT": CERTIFICATES} if _certificates() else settings


def _certificates() -> Sequence[str]:
    """The file with the certificates that pip must use instead of its own, if any."""
    return [path for path in [os.environ.get("PIP_CERT", "")] if path and os.path.exists(path)]


if __name__ == "__main__":
    print(build())

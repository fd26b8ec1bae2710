# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bridge that Cockpit has had since version 294, written in Python; Debian 12 has the one in C.

It comes from Debian 13's package, is unpacked into .cache/ and run by this Python.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from page import CHECKOUT, Bridge

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CACHE = CHECKOUT / ".cache/cockpit-bridge"


def newer_bridge() -> Bridge:
    """Raises subprocess.CalledProcessError if Debian's archive cannot be reached."""
    root = CACHE / "root"
    if not root.exists():
        _unpack(root)
    program = CACHE / "bridge"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cockpit.bridge "$@"\n')
    program.chmod(0o755)
    environment = {
        "PYTHONPATH": str(root / "usr/lib/python3/dist-packages"),
        "XDG_DATA_DIRS": str(root / "usr/share"),
    }
    return Bridge(str(program), environment)


def _unpack(root: Path) -> None:
    for name in ("lists/partial", "packages/archives/partial"):
        (CACHE / name).mkdir(parents=True, exist_ok=True)
    sources = CACHE / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n")
    options = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": CACHE / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": CACHE / "packages",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", "cockpit-bridge"], check=True, cwd=CACHE)
    [package] = CACHE.glob("cockpit-bridge_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, root.with_suffix(".new")], check=True)
    root.with_suffix(".new").rename(root)

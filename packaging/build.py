#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds packages of this source.

    packaging/build.py source DIR    nestd-VERSION.tar.gz
    packaging/build.py rpm DIR       with rpmbuild, on Fedora, RHEL or Debian
    packaging/build.py deb DIR       with dpkg-buildpackage, on Debian

They are left in DIR, which is made if need be. With --no-check the tests are left out.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
CONTENTS = (
    "CONTRIBUTING.md",
    "LICENSE",
    "NEWS.md",
    "README.md",
    "SECURITY.md",
    "nestd",
    "packaging",
    "pyproject.toml",
    "systemd",
    "tests",
)


def version() -> str:
    """What nestd/__init__.py says."""
    text = (CHECKOUT / "nestd" / "__init__.py").read_text()
    [found] = re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE)
    return str(found)


def source(directory: Path) -> Path:
    """The source archive."""
    name = f"nestd-{version()}"
    path = directory / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file in _files():
            archive.add(file, f"{name}/{file.relative_to(CHECKOUT)}", filter=_root_owns)
    return path


def rpm(directory: Path, *, check: bool) -> None:
    """The source package and what it gives."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        (top / "SOURCES").mkdir()
        source(top / "SOURCES")
        command = ["rpmbuild", "--define", f"_topdir {top}", "-ba"]
        command += [] if check else ["--without", "check"]
        subprocess.run([*command, str(CHECKOUT / "packaging" / "nestd.spec")], check=True)
        for package in (*top.glob("SRPMS/*.rpm"), *top.glob("RPMS/*/*.rpm")):
            shutil.copy(package, directory)


def deb(directory: Path, *, check: bool) -> None:
    """The binary packages."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        with tarfile.open(source(top)) as archive:
            archive.extractall(top)
        tree = top / f"nestd-{version()}"
        shutil.copytree(tree / "packaging" / "debian", tree / "debian")
        environment = dict(os.environ) if check else {**os.environ, "DEB_BUILD_OPTIONS": "nocheck"}
        # Of build-essential nothing is needed: there is nothing to compile.
        command = ["dpkg-buildpackage", "--ignore-builtin-builddeps", "-b", "-us", "-uc"]
        subprocess.run(command, cwd=tree, env=environment, check=True)
        for package in top.glob("*.deb"):
            shutil.copy(package, directory)


def _files() -> Iterator[Path]:
    for name in CONTENTS:
        path = CHECKOUT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            parts = file.relative_to(CHECKOUT).parts
            if file.is_file() and not any(_is_left_over(part) for part in parts):
                yield file


def _is_left_over(name: str) -> bool:
    return name == "__pycache__" or name.startswith(".")


def _root_owns(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def main() -> None:
    parser = argparse.ArgumentParser(prog="packaging/build.py", description="Builds packages.")
    parser.add_argument("what", choices=("source", "rpm", "deb"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--no-check", dest="check", action="store_false", help="run no tests")
    chosen = parser.parse_args()
    chosen.directory.mkdir(parents=True, exist_ok=True)
    if chosen.what == "source":
        source(chosen.directory)
    elif chosen.what == "rpm":
        rpm(chosen.directory, check=chosen.check)
    else:
        deb(chosen.directory, check=chosen.check)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds packages of this source.

    packaging/build.py source DIR    nestd-VERSION.tar.gz
    packaging/build.py rpm DIR       with rpmbuild, on Fedora, RHEL or Debian
    packaging/build.py deb DIR       with dpkg-buildpackage, on Debian

They are written to DIR, which is created if needed. One command installs what a build needs:

    Debian          apt-get install --no-install-recommends rpm && apt-get build-dep ./packaging
    Fedora, RHEL    dnf builddep packaging/nestd.spec

The page for Cockpit is built with npm, which fetches the packages pinned in its lock file. The
source contains the built page, so that building packages from it needs no network. --page takes the
page from a directory; --no-page omits it and the package cockpit-nestd. --no-check skips the tests.
--bundled includes dbus-next in the RPM, which is the default on RHEL only. Its source comes from
PyPI with pip, or is the file given with --dbus-next.

DEBFULLNAME and DEBEMAIL set the maintainer of the Debian packages, as for Debian's own tools.
Without them it is root@localhost, for a package built for this machine.

Two builds of one commit are identical to the byte: all times are SOURCE_DATE_EPOCH, by default the
time of the commit, or of the newest file in an unpacked source.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
NOBODY = "nestd developers <root@localhost>"
PAGE = "packaging/cockpit/dist"
DBUS_NEXT = "dbus_next-0.2.3.tar.gz"
DBUS_NEXT_SHA256 = "f4eae26909332ada528c0a3549dda8d4f088f9b365153952a408e28023a626a5"
# Excludes other Pythons that precede the distribution's on the PATH, such as pyenv's.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# A package contains the time and host of its build and the times of its files.
REPRODUCIBLE = {
    "_buildhost": "localhost",
    "build_mtime_policy": "clamp_to_source_date_epoch",  # since rpm 4.20; before it, the next two
    "clamp_mtime_to_source_date_epoch": "1",
    "use_source_date_epoch_as_buildtime": "1",
    "source_date_epoch_from_changelog": "0",
}


class CannotBuild(Exception):
    """One sentence: what is missing and what to do."""


def version() -> str:
    """The version in nestd/__init__.py."""
    text = (CHECKOUT / "nestd" / "__init__.py").read_text()
    [found] = re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE)
    return str(found)


def epoch() -> int:
    """The time of everything in the packages, in seconds since 1970."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    if (CHECKOUT / ".git").exists() and shutil.which("git"):
        # Also if another user owns the checkout, as in a container.
        command = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT)]
        done = subprocess.run([*command, "log", "-1", "--format=%ct"], capture_output=True)
        if done.returncode == 0:
            return int(done.stdout)
    return max(int(file.stat().st_mtime) for file in _files())


def source(directory: Path, page: Path | None) -> Path:
    """Write the source archive with the built PAGE for Cockpit; returns its path."""
    name = f"nestd-{version()}"
    path = directory / f"{name}.tar.gz"
    time = epoch()

    def alike(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = time
        member.mode = 0o755 if member.mode & 0o100 else 0o644
        return member

    with (
        open(path, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=time) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for each in _files():
            archive.add(each, f"{name}/{each.relative_to(CHECKOUT)}", filter=alike)
        for each in sorted(page.rglob("*")) if page is not None else ():
            if each.is_file():
                archive.add(each, f"{name}/{PAGE}/{each.relative_to(page)}", filter=alike)
    os.utime(path, (time, time))
    return path


@contextmanager
def built_page(given: Path | None) -> Iterator[Path]:
    """The page for Cockpit: GIVEN, already in this source, or built now."""
    there = CHECKOUT / PAGE
    if given is not None or (there.is_dir() and not (CHECKOUT / ".git").exists()):
        yield given or there
        return
    _require("npm", "apt-get install --no-install-recommends npm", "; --no-page does without it")
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([CHECKOUT / "packaging/cockpit/build", name], check=True)
        yield Path(name)


def rpm(
    directory: Path,
    page: Path | None,
    *,
    check: bool,
    bundled: bool | None,
    dbus_next: Path | None,
) -> None:
    """Build the source RPM and its RPMs; with BUNDLED None the distribution decides."""
    _require("rpmbuild", "apt-get install --no-install-recommends rpm")
    if check and shutil.which("dpkg-checkbuilddeps"):  # else rpmbuild reports what is missing
        _require_build_dependencies(check=True)
    with _rpm_directory() as top:
        (top / "SOURCES").mkdir()
        source(top / "SOURCES", page)
        add_dbus_next(top / "SOURCES", dbus_next)
        spec = Path(shutil.copy(CHECKOUT / "packaging" / "nestd.spec", top))
        time = epoch()
        os.utime(spec, (time, time))
        command = ["rpmbuild", "-ba"]
        for macro, value in {"_topdir": str(top), **REPRODUCIBLE}.items():
            command += ["--define", f"{macro} {value}"]
        command += [] if check else ["--without", "check"]
        command += [] if page else ["--without", "cockpit"]
        if bundled is not None:
            command += ["--with" if bundled else "--without", "bundled_dbus_next"]
        environment = {**os.environ, "PATH": PATH, "SOURCE_DATE_EPOCH": str(time)}
        subprocess.run([*command, str(spec)], env=environment, check=True)
        for package in (*top.glob("SRPMS/*.rpm"), *top.glob("RPMS/*/*.rpm")):
            shutil.copy(package, directory)


def deb(directory: Path, page: Path | None, *, check: bool) -> None:
    """Build the Debian binary packages."""
    _require("dpkg-buildpackage", "apt-get build-dep ./packaging")
    _require_build_dependencies(check=check)
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        with tarfile.open(source(top, page)) as archive:
            archive.extractall(top)
        tree = top / f"nestd-{version()}"
        shutil.copytree(tree / "packaging" / "debian", tree / "debian")
        name_maintainer(tree / "debian")
        environment = {**os.environ, "PATH": PATH, "SOURCE_DATE_EPOCH": str(epoch())}
        profiles = [] if page else ["pkg.nestd.nopage"]
        if not check:
            environment.update(DEB_BUILD_OPTIONS="nocheck")
            profiles.append("nocheck")
        environment.update(DEB_BUILD_PROFILES=" ".join(profiles))
        # build-essential is not needed: there is nothing to compile.
        command = ["dpkg-buildpackage", "--ignore-builtin-builddeps", "-b", "-us", "-uc"]
        subprocess.run(command, cwd=tree, env=environment, check=True)
        for package in top.glob("*.deb"):
            shutil.copy(package, directory)


def name_maintainer(debian: Path) -> None:
    """Put the maintainer from DEBEMAIL, if set, into control and the newest changelog entry."""
    address = os.environ.get("DEBEMAIL", "")
    if not address:
        return
    if "<" not in address:
        address = f"{os.environ.get('DEBFULLNAME') or 'nestd developers'} <{address}>"
    for name in ("control", "changelog"):
        text = (debian / name).read_text()
        if NOBODY not in text:
            raise CannotBuild(f"DEBEMAIL replaces {NOBODY}, whom {debian / name} does not name.")
        (debian / name).write_text(text.replace(NOBODY, address, 1))


def _require(program: str, command: str, otherwise: str = "") -> None:
    if shutil.which(program) is None:
        raise CannotBuild(f"{program} is missing: on Debian, {command} installs it{otherwise}.")


def _require_build_dependencies(*, check: bool) -> None:
    """Check those in packaging/debian/control, which the tests also need in an RPM build."""
    control = str(CHECKOUT / "packaging" / "debian" / "control")
    command = ["dpkg-checkbuilddeps", "-I", control]
    command[1:1] = [] if check else ["-P", "nocheck"]
    environment = {**os.environ, "LC_ALL": "C"}
    said = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment)
    missing = re.findall(r"[Uu]nmet build dependencies: (.*)", said.stderr)
    if missing:
        raise CannotBuild(f"apt-get build-dep ./packaging installs what is missing: {missing[0]}")


@contextmanager
def _rpm_directory() -> Iterator[Path]:
    """A directory of fixed name, since rpmbuild writes the name into the source package."""
    top = Path(tempfile.gettempdir()) / "nestd-rpmbuild"
    try:
        top.mkdir(mode=0o700)
    except FileExistsError:
        raise CannotBuild(
            f"{top} is there: another build is going on, or was cut off; then remove it."
        ) from None
    try:
        yield top
    finally:
        shutil.rmtree(top)


def add_dbus_next(directory: Path, given: Path | None) -> None:
    """Put dbus-next's source into DIRECTORY. Raises CannotBuild if its checksum is wrong."""
    path = directory / DBUS_NEXT
    if given is not None:
        shutil.copy(given, path)
    else:
        name = DBUS_NEXT[: -len(".tar.gz")].replace("_next-", "-next==")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary=:all:", "--dest", str(directory), name]
        if subprocess.run(command).returncode or not path.exists():
            raise CannotBuild(
                f"{DBUS_NEXT} cannot be had from PyPI with pip (Debian: python3-pip):"
                " give the file with --dbus-next."
            )
    if hashlib.sha256(path.read_bytes()).hexdigest() != DBUS_NEXT_SHA256:
        raise CannotBuild(f"{given or DBUS_NEXT} is not the source of dbus-next that nestd knows.")
    time = epoch()
    os.utime(path, (time, time))


def _files() -> Iterator[Path]:
    for name in CONTENTS:
        path = CHECKOUT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            parts = file.relative_to(CHECKOUT).parts
            if file.is_file() and not any(_is_left_over(part) for part in parts):
                yield file


def _is_left_over(name: str) -> bool:
    return name in ("__pycache__", "node_modules", "dist") or name.startswith(".")


def _build(chosen: argparse.Namespace, page: Path | None) -> None:
    if chosen.what == "source":
        source(chosen.directory, page)
    elif chosen.what == "rpm":
        given = {"bundled": chosen.bundled, "dbus_next": chosen.dbus_next}
        rpm(chosen.directory, page, check=chosen.check, **given)
    else:
        deb(chosen.directory, page, check=chosen.check)


def main() -> None:
    parser = argparse.ArgumentParser(prog="packaging/build.py", description="Builds packages.")
    parser.add_argument("what", choices=("source", "rpm", "deb"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--no-check", dest="check", action="store_false", help="run no tests")
    parser.add_argument("--bundled", action="store_true", default=None, help="RPM with dbus-next")
    parser.add_argument("--dbus-next", type=Path, metavar="FILE", help=f"{DBUS_NEXT}, for the RPM")
    page = parser.add_mutually_exclusive_group()
    page.add_argument(
        "--page", type=Path, metavar="DIR", help="the page for Cockpit, built already"
    )
    page.add_argument("--no-page", action="store_true", help="without the page for Cockpit")
    chosen = parser.parse_args()
    chosen.directory.mkdir(parents=True, exist_ok=True)
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch())
    os.umask(0o022)
    try:
        with nullcontext() if chosen.no_page else built_page(chosen.page) as built:
            _build(chosen, built)
    except CannotBuild as reason:
        sys.exit(f"packaging/build.py: {reason}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"packaging/build.py: {error.cmd[0]} failed.")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes a release, completely or not at all.

    packaging/release.py VERSION DIR      such as: packaging/release.py 0.2.0 /tmp/nestd-0.2.0

Works in a separate clone from HEAD of a clean checkout: writes VERSION and its date into the files
that contain them (nestd/__init__.py, NEWS.md, the spec, debian/changelog, the SELinux policy, the
Ansible collection), commits with a sign-off and tags vVERSION. From that commit it writes to DIR

    nestd-VERSION.tar.gz       the source, with Cockpit's built page if npm is installed
    *.rpm                      the build for Fedora, and in RHEL/ the one that bundles dbus-next
    *.deb
    nestd-VERSION.spdx.json    the components of all of these (SPDX 2.3)
    SHA256SUMS

and checks each: its version, and with rpmlint and lintian if installed. On success it fetches the
commit and the tag into the checkout; otherwise that stays unchanged. Nothing is published.

NEWS.md must begin with "## VERSION (not released)". packaging/build.py lists what builds need.
--no-check skips the tests in the builds.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
NOBODY = "nestd developers <root@localhost>"
VERSION = re.compile(r"\d+\.\d+\.\d+")
# lintian must complain if the maintainer is the placeholder, but not about older entries of the
# changelog, which contain it.
LINTIAN = (
    *("lintian", "--allow-root", "--fail-on", "error,warning"),
    *("--suppress-tags", "bogus-mail-host-in-debian-changelog"),
)


class CannotRelease(Exception):
    """One sentence: why the release cannot be made."""


def set_version(tree: Path, version: str, when: datetime) -> None:
    """Write the version and its date into the files that contain them."""
    for name, pattern, text in (
        ("nestd/__init__.py", r'(?<=^__version__ = ").*(?="$)', version),
        (
            "NEWS.md",
            rf"^## {re.escape(version)} \(not released\)$",
            f"## {version} ({when:%Y-%m-%d})",
        ),
        ("packaging/nestd.spec", r"(?<=^Version:        ).*$", version),
        (
            "packaging/nestd.spec",
            r"^%changelog$",
            f"%changelog\n* {when:%a %b %d %Y} nestd developers - {version}-1\n- See NEWS.md\n",
        ),
        ("packaging/debian/changelog", r"\A", _debian_entry(version, when)),
        ("packaging/selinux/nestd.te", r"(?<=^policy_module\(nestd, )[\d.]+(?=\))", version),
        ("packaging/ansible/galaxy.yml", r"(?<=^version: ).*$", version),
    ):
        path = tree / name
        changed, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
        if count != 1:
            raise CannotRelease(f"{name} has {count} places for the version {version}, not one.")
        path.write_text(changed)


def _debian_entry(version: str, when: datetime) -> str:
    date = f"{when:%a, %d %b %Y %H:%M:%S} +0000"
    head = f"nestd ({version}-1) unstable; urgency=medium"
    return f"{head}\n\n  * See NEWS.md.\n\n -- {NOBODY}  {date}\n\n"


def check_start(checkout: Path, version: str) -> None:
    """Raises CannotRelease if the checkout is not ready for a release."""
    if not VERSION.fullmatch(version):
        raise CannotRelease(f"{version} is no version such as 0.2.0.")
    if _git(checkout, "status", "--porcelain"):
        raise CannotRelease("The checkout has changes that are not committed.")
    if _git(checkout, "tag", "--list", f"v{version}"):
        raise CannotRelease(f"{version} is released already: there is a tag v{version}.")
    first = re.search(r"^## (.*)$", (checkout / "NEWS.md").read_text(), re.MULTILINE)
    if first is None or first[1] != f"{version} (not released)":
        raise CannotRelease(f'NEWS.md does not begin with "## {version} (not released)".')


def commit(tree: Path, version: str) -> None:
    _git(tree, "commit", "--quiet", "--all", "--signoff", "--message", f"Release {version}")
    _git(tree, "tag", "--annotate", f"v{version}", "--message", f"nestd {version}")


def build_page(tree: Path, page: Path) -> list[str]:
    """Build Cockpit's page if npm is installed; returns the options for packaging/build.py."""
    if shutil.which("npm") is None:
        return ["--no-page"]
    _run([str(tree / "packaging/cockpit/build"), str(page)])
    return ["--page", str(page)]


def build_packages(tree: Path, directory: Path, options: Sequence[str]) -> None:
    build = str(tree / "packaging" / "build.py")
    who = {
        "DEBFULLNAME": _git(tree, "config", "user.name"),
        "DEBEMAIL": _git(tree, "config", "user.email"),
    }
    environment = {**who, **os.environ}
    for what, where, more in (
        ("source", directory, options),
        ("rpm", directory, options),
        ("rpm", directory / "RHEL", ("--bundled", *options)),
        ("deb", directory, options),
    ):
        _run([sys.executable, build, what, str(where), *more], environment)


def check_files(directory: Path, version: str) -> list[str]:
    """Check each file; returns sentences on skipped checks. Raises CannotRelease."""
    for path in sorted(directory.rglob("*")):
        for suffix, reader in READERS.items():
            if path.name.endswith(suffix) and reader(path) != version:
                raise CannotRelease(f"{path.name} says that it is {reader(path)}, not {version}.")
    rpms = sorted(map(str, directory.rglob("*.noarch.rpm")))
    debs = sorted(map(str, directory.glob("*.deb")))
    if len(rpms) < 4 or len(debs) < 2:
        raise CannotRelease(f"There are {len(rpms)} RPMs and {len(debs)} .debs: too few.")
    rpmlint = ("rpmlint", "--rpmlintrc", str(HERE / "nestd.rpmlintrc"))
    # Includes the spec, which some of the filters are about.
    linted = [(rpmlint, [*rpms, str(HERE / "nestd.spec")]), (LINTIAN, debs)]
    for command, files in linted:
        if shutil.which(command[0]):
            _run([*command, *files])
    return [f"{command[0]} is not here" for command, _ in linted if not shutil.which(command[0])]


def _version_of_source(path: Path) -> str:
    with tarfile.open(path) as archive:
        [name] = {member.name.split("/")[0] for member in archive}
        file = archive.extractfile(f"{name}/nestd/__init__.py")
        text = file.read().decode() if file else ""
    [found] = re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE)
    return found if name == f"nestd-{found}" else name


def _version_of_rpm(path: Path) -> str:
    return _output(["rpm", "-qp", "--nosignature", "--queryformat", "%{VERSION}", str(path)])


def _version_of_deb(path: Path) -> str:
    return _output(["dpkg-deb", "--field", str(path), "Version"]).rpartition("-")[0]


READERS: dict[str, Callable[[Path], str]] = {
    ".tar.gz": _version_of_source,
    ".rpm": _version_of_rpm,
    ".deb": _version_of_deb,
}


def describe(tree: Path, directory: Path, version: str) -> None:
    """Write the SBOM and the checksums of all files."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    sbom = [sys.executable, str(tree / "packaging" / "sbom.py"), *map(str, files)]
    path = directory / f"nestd-{version}.spdx.json"
    path.write_text(_output(sbom) + "\n")
    sums = [
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.relative_to(directory)}\n"
        for each in (*files, path)
    ]
    (directory / "SHA256SUMS").write_text("".join(sums))


def release(version: str, directory: Path, options: Sequence[str]) -> None:
    check_start(CHECKOUT, version)
    if directory.exists() and any(directory.iterdir()):
        raise CannotRelease(f"{directory} is not empty.")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "nestd"
        _run(["git", "clone", "--quiet", "--no-hardlinks", str(CHECKOUT), str(tree)])
        for key in ("user.name", "user.email"):
            _git(tree, "config", key, _git(CHECKOUT, "config", key))
        set_version(tree, version, datetime.now(timezone.utc))
        commit(tree, version)
        page = build_page(tree, Path(name) / "page")
        build_packages(tree, directory, [*page, *options])
        missing = check_files(directory, version)
        if page == ["--no-page"]:
            missing.append("npm is not here, and so there is no page for Cockpit")
        describe(tree, directory, version)
        _git(CHECKOUT, "fetch", "--quiet", str(tree), f"refs/tags/v{version}:refs/tags/v{version}")
        _git(CHECKOUT, "merge", "--quiet", "--ff-only", f"v{version}")
    for each in missing:
        print(f"Not done: {each}.")
    print(
        f"nestd {version} is in {directory}. To publish it: git push --follow-tags, and upload it."
    )


def _git(tree: Path, *arguments: str) -> str:
    return _output(["git", "-C", str(tree), *arguments])


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(prog="packaging/release.py", description="Makes a release.")
    parser.add_argument("version")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--no-check", action="store_true", help="run no tests in the builds")
    chosen = parser.parse_args()
    options = ["--no-check"] if chosen.no_check else []
    try:
        release(chosen.version, chosen.directory.resolve(), options)
    except CannotRelease as reason:
        sys.exit(f"packaging/release.py: {reason}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"packaging/release.py: {error.cmd[0]} failed; nothing is released.")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fresh Debian roots with nothing but this checkout added."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Callable

import debian_image
import fresh_root
import pytest
import tiers
from fresh_root import CHECKOUT, PLACE, FreshRoot


@pytest.fixture(scope="session")
def images(record_testsuite_property: Callable[[str, object], None]) -> Path:
    """The directory with a root for each suite."""
    if not fresh_root.directory().exists() and os.geteuid() != 0:
        tiers.lacking([f"the image, which root builds with {fresh_root.__file__}"])
    started = time.monotonic()
    try:
        directory = fresh_root.build()
    except debian_image.BuildError as error:
        pytest.fail(str(error), pytrace=False)
    record_testsuite_property("image", f"{time.monotonic() - started:.0f} s")
    return directory


@pytest.fixture
def with_source(images: Path, tmp_path: Path) -> Callable[[str, str, str], FreshRoot]:
    """Makes a root of a suite with this source at /PLACE, owned by a user.

    The source is a clone of the "git" repository, or an unpacked "archive". The clone has what is
    committed, the archive the files as they are now.
    """

    def make(suite: str, user: str, kind: str) -> FreshRoot:
        root = FreshRoot(suite, tmp_path)
        target = root.upper / PLACE
        target.parent.mkdir(parents=True)
        if kind == "git":
            clone = [
                "git",
                "-c",
                f"safe.directory={CHECKOUT}",
                "clone",
                "--quiet",
                "--no-hardlinks",
            ]
            subprocess.run([*clone, str(CHECKOUT), str(target)], check=True)
        else:
            command = [
                str(CHECKOUT / "packaging" / "build.py"),
                "source",
                "--no-page",
                str(tmp_path),
            ]
            subprocess.run(command, check=True)
            with tarfile.open(next(tmp_path.glob("nestd-*.tar.gz"))) as archive:
                archive.extractall(tmp_path)
            shutil.move(str(next(tmp_path.glob("nestd-*/"))), str(target))
        owner = 1000 if user == fresh_root.USER else 0
        os.chown(target.parent, 1000, 1000)
        for path in (target, *target.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)
        return root

    return make

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each program and script names its licence, and shellcheck has no findings."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
HEADER = "SPDX-License-Identifier: "
KINDS = {".py", ".sh", ".ts", ".tsx", ".js", ".mjs", ".css", ".yml", ".yaml", ".toml", ".service"}
KINDS |= {".timer", ".policy", ".preset", ".catalog", ".conf", ".spec", ".te", ".fc", ".bash"}
KINDS |= {".fish", ".c"}
# Test inputs and outputs are kept as found; debian/copyright covers the Debian files.
LEFT_OUT = re.compile(
    r"^(tests/(cases/[^/]+/|unit/data/|unit/guests/|cli/golden/)|build/)"
    r"|^packaging/(debian|cockpit/dist)/"
    r"|(^|/)(\.[^/]*|node_modules|changelogs|[^/]*\.egg-info)/"
)


def sources() -> Iterator[Path]:
    """The source files, also in an unpacked archive that is not a git checkout."""
    for folder, folders, files in os.walk(CHECKOUT):
        here = str(Path(folder).relative_to(CHECKOUT)) + "/"
        inside = "" if here == "./" else here
        folders[:] = sorted(each for each in folders if not LEFT_OUT.search(f"{inside}{each}/"))
        for file in sorted(files):
            path = Path(folder, file)
            if not LEFT_OUT.search(inside + file) and path.is_file():
                yield path


def first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(200).decode("utf-8", "replace")


def test_each_source_file_names_its_licence() -> None:
    wanted = [path for path in sources() if path.suffix in KINDS or first_line(path)[:2] == "#!"]
    assert len(wanted) > 200
    without = [
        str(path.relative_to(CHECKOUT))
        for path in wanted
        if HEADER not in path.read_text("utf-8", "replace")[:800]
    ]
    assert without == []


def test_each_test_file_has_a_name_of_its_own() -> None:
    names: dict[str, str] = {}
    twice = []
    for path in sources():
        name = str(path.relative_to(CHECKOUT))
        # The emulated machine collects its own tests.
        if re.match(r"tests/(?!vm/guest/).*/test_[^/]*\.py$", name):
            twice += [(names[path.name], name)] if path.name in names else []
            names[path.name] = name
    assert len(names) > 100
    assert twice == [], "pytest imports test files by their base name"


@pytest.mark.needs("shellcheck")
def test_shell_scripts_are_sound() -> None:
    hidden = [path for path in (CHECKOUT / ".ci" / "run",) if path.exists()]
    debian = [path for path in (CHECKOUT / "packaging" / "debian").iterdir() if path.is_file()]
    scripts = [
        str(path.relative_to(CHECKOUT))
        for path in (*sources(), *debian, *hidden)
        if path.suffix == ".sh" or re.match(r"#!.*\b(ba|da)?sh\b", first_line(path))
    ]
    assert {"tests/run", "packaging/debian/nestd.prerm"} <= set(scripts)
    done = subprocess.run(
        ["shellcheck", "--", *scripts],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout

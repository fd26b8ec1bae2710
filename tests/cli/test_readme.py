# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands in README.md and CONTRIBUTING.md are run, and must print what is shown.

console_blocks.py describes the convention.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.dom import minidom

import console_blocks
import pytest
from run_nestctl import CHECKOUT

README = CHECKOUT / "README.md"
DOCUMENTS = ("README.md", "CONTRIBUTING.md")

pytestmark = pytest.mark.needs("git")

SAMPLE = """
Text, and a block of another kind:

```
$ false
```

```console
$ nestctl --simulate amd status
Nested virtualization is on, ...
...
Host   AMD, on bare metal
...
$ nestctl \\
    nsted
nestctl: There is no command 'nsted'. Did you mean 'nested'?
See: nestctl --help
[exit code 2]
```

```console simulate=intel
$ touch $NESTD_ROOT/simulated/machines/web1
$ nestctl vms
NAME  PID    VMM       UNIT
web1  ...  qemu-kvm  machine-qemu-web1.scope
$ busctl get-property org.nestd1 /org/nestd1 org.nestd1.Manager Vendor
s "intel"
```

```console no-run
# false
```
"""


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files, as a clone of the project has them."""
    copy = tmp_path_factory.mktemp("checkout")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        source, target = CHECKOUT / name, copy / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return copy


@pytest.fixture(scope="session")
def nestctl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the PATH with this nestctl as a program."""
    program = tmp_path_factory.mktemp("bin") / "nestctl"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(CHECKOUT)!r})\n"
        "from nestd.cli.__main__ import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    return program


def _wrong(document: str, checkout: Path, nestctl: Path) -> list[str]:
    environment = {**os.environ, "PATH": f"{nestctl.parent}:{os.environ['PATH']}", "LC_ALL": "C"}
    return [
        found
        for block in console_blocks.read(document)
        if block.runs
        for found in console_blocks.run(block, checkout, environment, str(nestctl))
    ]


def test_a_document_that_is_right(checkout: Path, nestctl: Path) -> None:
    assert [len(block.commands) for block in console_blocks.read(SAMPLE)] == [2, 3, 1]
    assert _wrong(SAMPLE, checkout, nestctl) == []


def test_a_document_that_is_wrong_is_found_out(checkout: Path, nestctl: Path) -> None:
    text = "```console\n$ echo one; echo two\none\n$ exit 3\n$ echo three\nthree\n```\n"
    found = _wrong(text, checkout, nestctl)
    assert [each.splitlines()[0] for each in found] == ["$ echo one; echo two", "$ exit 3"]


@pytest.mark.parametrize(
    ("expected", "output", "right"),
    [
        (["a b"], "  a    b \n\n", True),
        (["a", "..."], "a\n", True),
        (["a", "..."], "a\nb\nc\n", True),
        (["...", "c"], "a\nb\nc\n", True),
        (["a ... c"], "a b c\n", True),
        (["a ... c"], "a b\nc\n", False),
        (["a"], "a\nb\n", False),
        ([], "a\n", False),
        (["a.c"], "abc\n", False),
    ],
)
def test_outputs_are_compared(expected: list[str], output: str, right: bool) -> None:
    assert console_blocks.matches(expected, output) is right


LINES = re.findall(r"^\| `(.* kvm[^`]*)` \| .* \|$", README.read_text(), re.MULTILINE)
# The output of nestctl validate for each.
TOLD = (
    "does not start a comment",
    "sets it for kvm",
    "a blank before the = of nested",
    "sets nested=enable, which kvm_intel refuses",
    "typographic quotation marks",
    "kmod ignores what it cannot understand",
    "reload of kvm_intel: then it will be off",
)


@pytest.mark.parametrize(("line", "told"), zip(LINES, TOLD))
def test_what_is_wrong_with_a_line_is_told(line: str, told: str, tmp_path: Path) -> None:
    conf = tmp_path / "etc/modprobe.d/kvm.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"{line}\n")
    command = ["--simulate", "intel", "--root", str(tmp_path), "validate", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "nestd.cli", *command], capture_output=True, text=True, cwd=CHECKOUT
    )
    findings = json.loads(done.stdout)["findings"]
    assert any(told in each["summary"] for each in findings), findings


def test_seven_lines_are_shown() -> None:
    assert len(LINES) == len(TOLD) == 7


def test_the_picture_of_a_session_is_what_it_shows_now(nestctl: Path) -> None:
    script = CHECKOUT / "packaging/pictures/session.py"
    environment = {**os.environ, "PATH": f"{nestctl.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, str(script), "--text"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    svg = minidom.parse(str(script.with_suffix(".svg")))
    drawn: dict[float, str] = {}
    for text in svg.getElementsByTagName("text"):
        line = float(text.getAttribute("y"))
        drawn[line] = drawn.get(line, "") + (text.firstChild.data if text.firstChild else "")
    lines = [_comparable(drawn[line]) for line in sorted(drawn)]
    assert list(filter(None, lines)) == list(
        filter(None, map(_comparable, done.stdout.splitlines()))
    )


def _comparable(line: str) -> str:
    """The text without blanks, which are not drawn between words of different colours."""
    return "".join(re.sub(r"\b\d{4,}\b", "PID", line).split())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_pictures_of_a_document_are_there(name: str) -> None:
    for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", (CHECKOUT / name).read_text()):
        assert (CHECKOUT / path).is_file()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_of_a_document(name: str, checkout: Path, nestctl: Path) -> None:
    document = (CHECKOUT / name).read_text()
    assert any(block.runs for block in console_blocks.read(document))
    wrong = _wrong(document, checkout, nestctl)
    assert wrong == [], "\n\n".join(wrong)

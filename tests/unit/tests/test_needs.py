# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each program, library and system file that a test uses is declared in tests/tiers.py.

tests/run installs what is declared; anything else is present by chance. The tests in the images of
emulated machines are not checked: an image has the packages of its list, and a test that lacks
something there fails.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import tiers
from reached_code import reached
from used_programs import Module, UsedPrograms

TESTS = Path(tiers.__file__).parent
CHECKOUT = TESTS.parent
IN_IMAGES = ("confined/in_image", "vm/guest", "vm/nesting_guest", "vm/other_guests")
# The code that runs these checks first which of them exists.
PACKAGE_MANAGERS = {"apt-get", "dnf"}
EVERYWHERE = {need.name for need in tiers.EVERYWHERE} | PACKAGE_MANAGERS


def _undeclared(paths: Sequence[Path]) -> list[str]:
    """For each test file, what it or a file that it imports uses without declaring it."""
    used = UsedPrograms(paths)
    found = []
    for test in used.modules:
        if not test.path.name.startswith("test_"):
            continue
        declared = EVERYWHERE | _from_pypi() | _of_its_tiers(test) | _asked_for(test.tree)
        for module, statement in reached(test, used.modules):
            undeclared = used.uses[module, statement] - declared
            for name in undeclared - _asked_for(module.tree) if undeclared else ():
                found.append(f"{test.path.name}: {name}, in {module.path.name}")
    return sorted(set(found))


def _of_its_tiers(test: Module) -> set[str]:
    """What the tiers of a file's tests need; a file without a tier's mark belongs to "unit"."""
    marks = {
        node.attr
        for node in ast.walk(test.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pytest.mark"
    }
    every = re.findall(r"^pytestmark = .*$", ast.unparse(test.tree), re.MULTILINE)
    chosen = marks & set(tiers.TIERS)
    if not any(f"pytest.mark.{name}" in line for name in chosen for line in every):
        chosen |= {"unit"}
    return {need.name for name in chosen for need in tiers.TIERS[name].needs}


def _asked_for(tree: ast.Module) -> set[str]:
    """The names in marks needs(...), and in lists passed to tiers.missing()."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.needs":
            found += node.args
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "tiers.missing":
            lists = [each for each in ast.walk(node) if isinstance(each, ast.List)]
            found += [name for each in lists for name in each.elts]
    return {str(each.value) for each in found if isinstance(each, ast.Constant)}


def _from_pypi() -> set[str]:
    """The names of the packages that pip installs with nestd[test]; some of them are programs."""
    text = (CHECKOUT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|cli|test) = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    of_tiers = {name for tier in tiers.TIERS.values() for name in tier.pip}
    return of_tiers | {name for each in lists for name in re.findall(r'"([\w-]+)', each)}


@pytest.fixture(scope="module")
def sources() -> list[Path]:
    paths = sorted(TESTS.rglob("*.py"))
    outside = [TESTS / directory for directory in IN_IMAGES]
    return [path for path in paths if not any(each in path.parents for each in outside)]


def test_whatever_a_test_uses_is_declared(sources: list[Path]) -> None:
    undeclared = _undeclared(sources)
    assert undeclared == [], (
        "Put it into tests/tiers.py with its packages: into the needs of the tier, or into OPTIONAL"
        " and mark the test needs(NAME)."
    )


def test_whatever_is_asked_for_is_declared_and_the_other_way_round(sources: list[Path]) -> None:
    asked = [_asked_for(ast.parse(path.read_text())) for path in sources]
    assert set().union(*asked) == set(tiers.OPTIONAL)


def test_whatever_a_test_imports_is_installed_by_pip(sources: list[Path]) -> None:
    modules = {"validate": "configobj"}  # from a package with another name
    names = {path.stem for path in TESTS.rglob("*.py")} | {"nestd"}
    for path in sources:
        for name in _imported(ast.parse(path.read_text())):
            if name not in names and not _is_of_python(name):
                assert modules.get(name, name.replace("_", "-")) in _from_pypi(), (path, name)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.split(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def _is_of_python(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and not re.search("/(site|dist)-packages/", str(spec.origin))


CASES = {
    "a call": ('import subprocess\nsubprocess.run(["frob", "-x"])', "frob"),
    "another name": ('import subprocess as s\ns.check_output(("frob",))', "frob"),
    "imported by itself": ('from subprocess import Popen as P\nP(args=["frob"])', "frob"),
    "a variable": ('import subprocess\nc = ["frob"]\nsubprocess.call(c + ["x"])', "frob"),
    "a constant": ('import subprocess\nP = "frob"\nsubprocess.run([P, "x"])', "frob"),
    "a local list that grows": (
        'import subprocess\ndef f():\n    c = ["frob"]\n    c += ["x"]\n    subprocess.run(c)',
        "frob",
    ),
    "one of two": (
        'import subprocess\ndef f(x):\n    subprocess.run(["frob" if x else "sh", x])',
        "frob",
    ),
    "a function of the tests": (
        "import subprocess\ndef go(*words, how=1):\n    subprocess.run([*words, str(how)])\n"
        "def f():\n    go('frob', 'x')",
        "frob",
    ),
    "a function of a function": (
        "import subprocess\ndef go(c):\n    subprocess.run(c)\n"
        "def to(first, c):\n    go(c)\ndef f():\n    to(1, ['frob'])",
        "frob",
    ),
    "a method": (
        "import subprocess\nclass A:\n    def go(self, *c):\n        subprocess.run(c)\n"
        "    def f(self):\n        self.go('frob')",
        "frob",
    ),
    "what a function returns": (
        "import subprocess\ndef c(x):\n    return ['frob', x]\nsubprocess.run(c(1))",
        "frob",
    ),
    "in a loop": ('import shutil\nfor each in ("sh", "frob"):\n    shutil.which(each)', "frob"),
    "behind another": ('import subprocess\nsubprocess.run(["env", "-u", "frob"])', "frob"),
    "in a script": (
        'import subprocess\nS = "set -e\\ncd x && A=1 frob x | sh"\nsubprocess.run(["sh","-c",S])',
        "frob",
    ),
    "by a shell": ('import os\nos.system("echo; frob -x")', "frob"),
    "as a shell": ('import subprocess\nsubprocess.run("frob -x", shell=True)', "frob"),
    "for asyncio": (
        'import asyncio\nasync def f():\n    await asyncio.create_subprocess_exec("frob", "x")',
        "frob",
    ),
    "in its place": ('import os\nos.execvp("frob", ["frob"])', "frob"),
    "looked for": ('import shutil\nassert shutil.which("frob")', "frob"),
    "a library": ('import ctypes\nctypes.CDLL("libfrob.so.1", use_errno=True)', "libfrob.so.1"),
    "a library by another name": (
        'from ctypes.util import find_library\nfind_library("frob")',
        "frob",
    ),
    "a library of a function": (
        'import ctypes\ndef f(p):\n    return ctypes.cdll.LoadLibrary(p)\nf("libfrob.so.1")',
        "libfrob.so.1",
    ),
    "a module of the system's Python": (
        'import subprocess\nsubprocess.run(["/usr/bin/python3", "-m", "frob"])',
        "python3 -m frob",
    ),
    "a file": ('from pathlib import Path\nF = Path("/usr/share/frob")', "/usr/share/frob"),
    "the Python that runs the tests": (
        "import subprocess, sys\nsubprocess.run([sys.executable])",
        "",
    ),
    "what a test has made": (
        "import subprocess\ndef f(tmp_path):\n    subprocess.run([str(tmp_path / 'x')])",
        "",
    ),
    "what is declared": ('import subprocess\nsubprocess.run(["busctl"])', ""),
    "marked": (
        'import subprocess, pytest\n@pytest.mark.needs("frob")\n'
        'def test():\n    subprocess.run(["frob"])',
        "",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_use_is_found_however_it_is_written(case: str, tmp_path: Path) -> None:
    text, name = CASES[case]
    (tmp_path / "test_it.py").write_text(text)
    found = _undeclared([tmp_path / "test_it.py"])
    assert found == ([f"test_it.py: {name}, in test_it.py"] if name else [])


def test_a_use_in_a_file_that_a_test_imports_or_names_counts(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import ctypes, pytest\n@pytest.fixture\ndef fixture():\n    ctypes.CDLL('liba.so.1')\n"
        "def other():\n    ctypes.CDLL('libother.so.1')"
    )
    (tmp_path / "helper.py").write_text(
        "import subprocess\ndef help():\n    _help('b')\ndef _help(b):\n    subprocess.run([b])\n"
        "def other():\n    _help('other')\nQEMU = ('qemu', '-M', 'x')"
    )
    (tmp_path / "child.py").write_text("import ctypes\ndef main():\n    ctypes.CDLL('libc.so.9')")
    (tmp_path / "test_it.py").write_text(
        "from helper import QEMU, help\nCHILD = 'child.py'\ndef test(fixture):\n    help(QEMU)"
    )
    found = _undeclared(sorted(tmp_path.glob("*.py")))
    assert found == [
        "test_it.py: b, in helper.py",
        "test_it.py: liba.so.1, in conftest.py",
        "test_it.py: libc.so.9, in child.py",
        "test_it.py: qemu, in helper.py",
    ]

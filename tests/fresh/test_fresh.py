# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first command of README.md and of CONTRIBUTING.md on a machine with nothing installed."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Callable

import pytest
from fresh_root import CHECKOUT, NEWEST, NEWEST_PYTHON, PLACE, SUITES, USER, FreshRoot

pytestmark = [pytest.mark.fresh, pytest.mark.needs("git")]

CASES = [
    (suite, user, kind) for suite in SUITES for user, kind in (("root", "archive"), (USER, "git"))
]
# Without jsonschema, which needs a compiler while PyPI has no wheel yet.
ON_NEWEST = f"""
{NEWEST_PYTHON} -m venv /tmp/venv
/tmp/venv/bin/pip install --quiet . hypothesis pytest rich
/tmp/venv/bin/python -c 'import typing; assert not hasattr(typing, "no_type_check_decorator")'
/tmp/venv/bin/python -W error::SyntaxWarning -m pytest -q -p no:cacheprovider \\
    tests/unit tests/bus/test_bus_protocol.py tests/bus/test_bus_objects.py \\
    --deselect tests/unit/tests/test_linters.py
"""
WithSource = Callable[[str, str, str], FreshRoot]


@pytest.mark.parametrize(("suite", "user", "kind"), CASES)
def test_packaging_try(suite: str, user: str, kind: str, with_source: WithSource) -> None:
    root = with_source(suite, user, kind)
    first = root.run(user, "packaging/try", chdir=f"/{PLACE}")
    assert first.returncode == 0, first.stdout
    assert "Installing python3-venv dbus-daemon kmod" in first.stdout
    _shows_the_main_job(first.stdout)
    again = root.run(user, "packaging/try", chdir=f"/{PLACE}")
    assert again.returncode == 0, again.stdout
    assert "Installing" not in again.stdout
    _shows_the_main_job(again.stdout)
    [place] = re.findall(r"^nestctl is (\S+)$", again.stdout, re.MULTILINE)
    assert "Intel, on bare metal" in root.run(user, place, "--simulate", "intel", "status").stdout


def test_without_sudo_it_says_what_root_is_to_do(with_source: WithSource) -> None:
    root = with_source("bookworm", USER, "archive")
    (root.upper / "usr/bin").mkdir(parents=True)
    (root.upper / "usr/bin/sudo").write_text("")
    done = root.run(USER, "packaging/try", chdir=f"/{PLACE}")
    assert done.returncode == 1
    assert "have root run apt-get install python3-venv dbus-daemon kmod" in done.stdout


@pytest.mark.parametrize(("suite", "user", "kind"), CASES)
def test_the_unit_tier(suite: str, user: str, kind: str, with_source: WithSource) -> None:
    if CASES.index((suite, user, kind)) not in _chosen():
        pytest.skip("another commit runs this case, tests/run --all every one")
    root = with_source(suite, user, kind)
    done = root.run(user, "bash", "tests/run", "unit", chdir=f"/{PLACE}")
    print(done.stdout[-4000:])
    assert done.returncode == 0
    assert re.search(r"^[1-9]\d{3,} passed, 0 failed", done.stdout, re.MULTILINE)


def test_the_newest_python(with_source: WithSource) -> None:
    """Python 3.15 has removed typing.no_type_check_decorator, which dbus-next uses."""
    root = with_source(NEWEST, USER, "archive")
    done = root.run(USER, "bash", "-euc", ON_NEWEST, chdir=f"/{PLACE}")
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^[1-9]\d{2,} passed", done.stdout, re.MULTILINE)


def _chosen() -> range:
    """One case per commit, since each takes minutes."""
    if "NESTD_TEST_ALL" in os.environ:
        return range(len(CASES))
    command = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT)]
    counted = subprocess.run([*command, "rev-list", "--count", "HEAD"], capture_output=True)
    number = int(counted.stdout or 0) % len(CASES)
    return range(number, number + 1)


def _shows_the_main_job(text: str) -> None:
    refused, waiting, done = (
        text.index(words)
        for words in ("kvm_intel is in use", "waits for web1", "Nested virtualization is off")
    )
    assert refused < waiting < done, text
    assert "This host, looked at and not touched" in text
    assert "\n  nestctl watch\n" in text

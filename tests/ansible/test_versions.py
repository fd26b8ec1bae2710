# SPDX-License-Identifier: LGPL-2.1-or-later
"""The collection with each ansible-core since 2.14, on each Python here that it supports.

With each, the collection's integration tests run as one playbook, then its unit tests; the modules
run on the same Python as ansible-core.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import engine
import interpreters
import pytest
from engine import Ansible
from fleet import SimulatedHost, running_hosts
from interpreters import Python

pytestmark = [
    pytest.mark.ansible,
    pytest.mark.skipif("NESTD_TEST_ALL" not in os.environ, reason="with tests/run --all only"),
]

# The oldest and the newest Python of a controller, by ansible-core's documentation.
CONTROLLERS = {
    "2.14": ((3, 9), (3, 11)),
    "2.15": ((3, 9), (3, 11)),
    "2.16": ((3, 10), (3, 12)),
    "2.17": ((3, 10), (3, 12)),
    "2.18": ((3, 11), (3, 13)),
    "2.19": ((3, 11), (3, 13)),
    "2.20": ((3, 12), (3, 14)),
    "2.21": ((3, 12), (3, 14)),
}
PYTHONS = interpreters.find() if "NESTD_TEST_ALL" in os.environ else []
README = (engine.COLLECTION / "README.md").read_text()


def _number(python: Python) -> tuple[int, ...]:
    return tuple(map(int, python.version.split(".")))


PAIRS = [
    (version, python)
    for version, (oldest, newest) in CONTROLLERS.items()
    for python in PYTHONS
    if oldest <= _number(python) <= newest
]


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: f"{pair[0]} on {pair[1].version}")
def ansible(request: pytest.FixtureRequest) -> tuple[Ansible, Python]:
    version, python = request.param
    return engine.make(f"ansible-core=={version}.*", "pytest", interpreter=python.program), python


def test_the_integration_tests(ansible: tuple[Ansible, Python], tmp_path: Path) -> None:
    core, python = ansible
    targets = sorted((engine.COLLECTION / "tests/integration/targets").glob("*/tasks/main.yml"))
    assert len(targets) == len(list((engine.COLLECTION / "plugins/modules").glob("*.py")))
    play = {
        "hosts": "all",
        "vars": {"output_dir": str(tmp_path)},
        "tasks": [{"ansible.builtin.import_tasks": str(path)} for path in targets],
    }
    host = SimulatedHost("host", interpreter=python.program)
    with running_hosts(tmp_path / "hosts", [host]) as members:
        run = core.playbook(tmp_path, members, [play])
    assert run.status == 0, run.output
    checks = [each for each in run.results if each.task == "Check"]
    assert [each.status for each in checks] == ["ok"] * len(targets), run.output


def test_the_unit_tests(ansible: tuple[Ansible, Python]) -> None:
    core, _ = ansible
    done = subprocess.run(
        [core.programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit"],
        cwd=core.collections / "ansible_collections/nestd/kvm",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(core.collections)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=engine.SECONDS,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_each_version_is_in_the_readme() -> None:
    told = {line.split("|")[1].strip() for line in README.splitlines() if line.startswith("| 2.")}
    assert told == set(CONTROLLERS)

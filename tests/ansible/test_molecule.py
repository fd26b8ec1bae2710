# SPDX-License-Identifier: LGPL-2.1-or-later
"""The collection's molecule scenario: converge, idempotence, verify."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import engine
import pytest
from fleet import SimulatedHost, running_hosts

pytestmark = [
    pytest.mark.ansible,
    pytest.mark.skipif("NESTD_TEST_ALL" not in os.environ, reason="with tests/run --all only"),
]


def test_the_role_is_idempotent(tmp_path: Path) -> None:
    ansible = engine.make("molecule")
    extensions = tmp_path / "extensions"
    shutil.copytree(engine.COLLECTION / "extensions", extensions)
    with running_hosts(tmp_path / "hosts", [SimulatedHost("host")]) as members:
        environment = ansible.environment(tmp_path, str(tmp_path / "results.jsonl"))
        done = subprocess.run(
            [ansible.programs / "molecule", "test"],
            cwd=extensions,
            env={
                **environment,
                "PATH": f"{ansible.programs}:{environment['PATH']}",
                "NO_COLOR": "1",
                "COLUMNS": "200",
                "NESTD_HOST_PYTHON": str(members["host"].python),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=engine.SECONDS,
        )
        conf = members["host"].nestd.kvm_conf.read_text()
    assert done.returncode == 0, done.stdout
    assert "options kvm_intel nested=0\n" in conf
    [first, again, verified] = re.findall(r"host +: ok=\d+ +changed=(\d+)", done.stdout)
    assert (int(first), int(again), int(verified)) == (3, 0, 0), done.stdout

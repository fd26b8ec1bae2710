# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shipped unit's sandbox from inside, on a kernel that loads modules."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sandbox_probe

UNIT = Path("/run/systemd/system/nestd-probe.service")
ANY_USER = 12345


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, str]]:
    """The results of the probe."""
    Path(sandbox_probe.SCRIPT).parent.mkdir(exist_ok=True)
    Path(sandbox_probe.SCRIPT).write_text(Path(sandbox_probe.__file__).read_text())
    Path(sandbox_probe.OTHERS).write_text("mine")
    os.chmod(sandbox_probe.OTHERS, 0o600)
    os.chown(sandbox_probe.OTHERS, ANY_USER, ANY_USER)
    for path in sandbox_probe.PLANTED:
        Path(path).write_text("secret")
    command = ["systemctl", "show", "--value", "--property=FragmentPath", "nestd.service"]
    shipped = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    UNIT.parent.mkdir(parents=True, exist_ok=True)
    UNIT.write_text(sandbox_probe.probe_unit(Path(shipped.strip()).read_text()))
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "start", UNIT.name], check=True)
    yield json.loads(Path(sandbox_probe.OUTPUT).read_text())
    UNIT.unlink()
    for path in sandbox_probe.PLANTED:
        Path(path).unlink()
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def test_the_sandbox_lets_all_be_done_that_nestd_does(found: dict[str, str]) -> None:
    assert sandbox_probe.held_back(found) == {}
    assert found["kernel: unload a module"] == "ENOENT", "there is no such module"
    assert found["kernel: read the log"] == ""
    assert found["kernel: write a parameter"] == ""


def test_the_sandbox_lets_nothing_else_be_done(found: dict[str, str]) -> None:
    assert sandbox_probe.let_through(found) == []
    assert found["open /dev/kvm"] == "EPERM"
    assert found["open /dev/mem"] == "EPERM"

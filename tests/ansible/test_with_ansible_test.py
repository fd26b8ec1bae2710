# SPDX-License-Identifier: LGPL-2.1-or-later
"""The collection's own tests: sanity, units and integration of ansible-test."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from ansible_test import AnsibleTest, nestctl_on
from engine import Ansible
from fleet import SimulatedHost, running_hosts

pytestmark = [
    pytest.mark.ansible,
    pytest.mark.skipif("NESTD_TEST_ALL" not in os.environ, reason="with tests/run --all only"),
]


def test_units(newest: Ansible, tmp_path: Path) -> None:
    done = AnsibleTest(newest, tmp_path).run("units")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_integration(newest: Ansible, tmp_path: Path) -> None:
    with running_hosts(tmp_path / "hosts", [SimulatedHost("host")]) as members:
        address = members["host"].nestd.address
        nestctl = Path(sys.executable).with_name("nestctl")
        programs = nestctl_on(address, tmp_path / "bin", nestctl)
        done = AnsibleTest(newest, tmp_path).run("integration", programs=programs)
    assert done.returncode == 0, done.stdout
    for target in (
        newest.collections / "ansible_collections/nestd/kvm/tests/integration/targets"
    ).iterdir():
        assert f"Running {target.name} integration test role" in done.stdout, done.stdout


def test_sanity(newest: Ansible, tmp_path: Path) -> None:
    done = AnsibleTest(newest, tmp_path).run("sanity")
    assert done.returncode == 0, done.stdout

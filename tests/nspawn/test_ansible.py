# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Ansible collection on a booted machine without nestd, through nsenter.

Ansible's connection is "local", and its Python interpreter is a script that enters the machine and
starts Python there. Ansible puts its files in a directory that both sides see.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import container
import debian_image
import installation
import pytest
from container import Container, Overlay

sys.path.append(str(Path(__file__).parents[1] / "ansible"))

import engine
from engine import Ansible, Run

pytestmark = [
    pytest.mark.nspawn,
    pytest.mark.skipif("NESTD_TEST_ALL" not in os.environ, reason="with tests/run --all only"),
]

ROLE = "nestd.kvm.host"
_ENTER = """#!/bin/sh
exec nsenter --target={leader} --mount --uts --ipc --net --pid --wd=/ -- \\
    /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/bin/python3 "$@"
"""


@dataclass
class Managed:
    """The machine, and how Ansible reaches it."""

    machine: Container
    shared: Path
    ansible: Ansible
    # As in the tests of the tier "ansible".
    python: Path

    def run(self, *tasks: object, roles: tuple[object, ...] = ()) -> Run:
        play = {"hosts": "all", "tasks": list(tasks), "roles": list(roles)}
        return self.ansible.playbook(self.shared, {"machine": self}, [play])


@pytest.fixture(scope="module")
def managed(
    images: Path, packages: Path, fake_modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Managed]:
    overlay = Overlay(images / "base", tmp_path_factory.mktemp("managed"))
    overlay.run(*installation.APT_INSTALL.split(), "python3-apt")
    debian_image.write(overlay.directory / "upper", installation.FILES)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        shared = Path(name)
        binds = (f"{fake_modules}:/sys/module", f"{shared}:{shared}")
        with container.boot(overlay, binds) as machine:
            python = shared / "python"
            python.write_text(_ENTER.format(leader=machine.leader))
            python.chmod(0o755)
            yield Managed(machine, shared, engine.make(engine.NEWEST), python)


@pytest.fixture(scope="module")
def installed(managed: Managed, packages: Path) -> tuple[Run, Run]:
    """Two runs of the role, which installs nestd from local packages."""
    variables = {
        "nestd_install": "files",
        # In an order that dpkg would not accept.
        "nestd_package_files": [str(next(packages.glob(f"{name}_*.deb")))
                                for name in ("nestctl", "nestd")],
        "nestd_nested": True,
        "nestd_when": "boot",  # no module can be loaded in a container
        "nestd_validate": False,  # and it has no KVM
    }  # fmt: skip
    first, second = (managed.run(roles=({"role": ROLE, "vars": variables},)) for _ in range(2))
    return first, second


def test_the_role_installs_local_packages_and_starts_nestd(
    managed: Managed, installed: tuple[Run, Run]
) -> None:
    assert installed[0].status == 0, installed[0].output
    assert managed.machine.property("ActiveState") == "active"
    assert managed.machine.property("UnitFileState") == "enabled"
    text = managed.machine.file("/etc/modprobe.d/kvm.conf").read_bytes().decode()
    # With the file's own line ends.
    assert text == f"{installation.KVM_CONF}options kvm_intel nested=1\r\n"


def test_a_second_run_of_the_role_changes_nothing(installed: tuple[Run, Run]) -> None:
    assert installed[1].status == 0, installed[1].output
    assert [each.task for each in installed[1].results if each.changed] == []


def test_modules_reach_nestd_on_its_system_bus(
    managed: Managed, installed: tuple[Run, Run], tmp_path: Path
) -> None:
    off = {"enabled": False, "when": "boot"}
    run = managed.run(
        {"name": "foreseen", "nestd.kvm.nested": off, "check_mode": True, "diff": True},
        {"name": "done", "nestd.kvm.nested": off, "diff": True},
        {"name": "again", "nestd.kvm.nested": off},
        {"name": "state", "nestd.kvm.info": {}},
        {"name": "archive", "nestd.kvm.support_archive": {"dest": f"{tmp_path}/a.tar.gz"}},
    )
    assert run.status == 0, run.output
    foreseen, done = run.of("machine", "foreseen"), run.of("machine", "done")
    assert (foreseen.changed, done.changed) == (True, True)
    assert foreseen.diff == done.diff != ""
    assert not run.of("machine", "again").changed
    facts = run.of("machine", "state").result["ansible_facts"]["nestd"]
    assert facts["nested"]["configured"] == "no"
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert any(name.endswith("kvm.conf") for name in archive.getnames())

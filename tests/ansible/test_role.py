# SPDX-License-Identifier: LGPL-2.1-or-later
"""The role host, and the modules that only read or fetch."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import tiers
from engine import Ansible
from fleet import SimulatedHost, running_hosts

pytestmark = pytest.mark.ansible

VARIABLES = {
    # Both are for real machines: tests/nspawn installs packages and starts units.
    "nestd_install": "no",
    "nestd_service": False,
    "nestd_nested": True,
    "nestd_when": "now",
    "nestd_module_parameters": {"kvm": {"halt_poll_ns": 50000}, "kvm_amd": {"avic": None}},
    "nestd_log_filters": [{"daemon": "virtqemud", "filters": ["3:qemu"], "when": "start"}],
}
ROLE = [{"hosts": "all", "roles": ["nestd.kvm.host"], "vars": VARIABLES}]
HOSTS = [
    SimulatedHost("fit"),
    SimulatedHost("warned", "intel,blacklisted"),
    SimulatedHost("unfit", files={"/proc/sys/kernel/modules_disabled": "0\n"},
                  simulate="intel,guest-of=vmware"),
]  # fmt: skip
XML = (Path(tiers.__file__).parent / "unit/guests/intel-host-passthrough.xml").read_text()


@pytest.fixture(params=("newest", "oldest") if "NESTD_TEST_ALL" in os.environ else ("newest",))
def ansible(request: pytest.FixtureRequest) -> Ansible:
    """Both, with --all."""
    found: Ansible = request.getfixturevalue(request.param)
    return found


def _failed(results: Mapping[str, str]) -> set[str]:
    return {host for host, status in results.items() if status == "failed"}


def test_the_role_sets_and_validates(ansible: Ansible, tmp_path: Path) -> None:
    hosts = [SimulatedHost("fit"), SimulatedHost("amd", "amd")]
    with running_hosts(tmp_path / "hosts", hosts) as members:
        run = ansible.playbook(tmp_path, members, ROLE)
        assert run.status == 0, run.output
        conf = members["fit"].nestd.kvm_conf.read_text()
        assert conf.endswith("options kvm_intel nested=1\noptions kvm halt_poll_ns=50000\n")
        assert (
            "log_filters" in (members["amd"].nestd.root / "etc/libvirt/virtqemud.conf").read_text()
        )
        run = ansible.playbook(tmp_path, members, ROLE)
        assert run.status == 0, run.output
        assert [each.task for each in run.results if each.changed] == []
        # A host where nesting is meant to be off is not ready for it, and that is not a failure.
        off = [{**ROLE[0], "vars": {**VARIABLES, "nestd_nested": False}}]
        run = ansible.playbook(tmp_path, {"amd": members["amd"]}, off)
        assert run.status == 0, run.output
        assert [each.task for each in run.results if each.changed] == [
            "nestd.kvm.host : Set nested virtualization"
        ]


def test_the_role_fails_where_validate_fails_and_says_why(ansible: Ansible, tmp_path: Path) -> None:
    variables = {**VARIABLES, "nestd_nested": None, "nestd_module_parameters": {}}
    play = [{**ROLE[0], "vars": {**variables, "nestd_log_filters": []}}]
    with running_hosts(tmp_path / "hosts", HOSTS) as members:
        run = ansible.playbook(tmp_path, members, play)
        task = "nestd.kvm.host : Fail where this host is not fit for nested virtualization"
        status = {name: run.of(name, task).status for name in members}
        facts = {name: run.of(name, "nestd.kvm.host : Read the state") for name in members}
        ready = {name: each.result["ansible_facts"]["nestd"]["ready"]
                 for name, each in facts.items()}  # fmt: skip
    assert _failed(status) == {name for name, fit in ready.items() if not fit}, run.output
    assert "unfit" in _failed(status)
    assert "fit" not in _failed(status)
    assert (
        "VMX" in run.of("unfit", task).result["msg"] or "vmx" in run.of("unfit", task).result["msg"]
    )


def test_a_guest_is_checked_in_both_ways(ansible: Ansible, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML)
    tasks = [
        {"name": "xml", "nestd.kvm.guest_check": {"xml": XML}},
        {"name": "path", "nestd.kvm.guest_check": {"path": str(tmp_path / "a.xml")}},
        {"name": "not ready", "nestd.kvm.guest_check": {"xml": "<domain type='qemu'/>"}},
        {"name": "both", "nestd.kvm.guest_check": {"xml": f"{XML}<domain type='qemu'></domain>"}},
        {"name": "no XML", "nestd.kvm.guest_check": {"xml": "<"}, "ignore_errors": True},
    ]
    with running_hosts(tmp_path / "hosts", [SimulatedHost("fit")]) as members:
        run = ansible.playbook(tmp_path, members, [{"hosts": "all", "tasks": tasks}])
    assert run.of("fit", "xml").result["ready"] is True, run.output
    assert run.of("fit", "path").result["findings"] == run.of("fit", "xml").result["findings"]
    assert run.of("fit", "not ready").result["ready"] is False
    assert not run.of("fit", "not ready").changed
    both = run.of("fit", "both").result
    assert [guest["ready"] for guest in both["guests"]] == [True, False]
    assert both["ready"] is False
    assert both["guests"][0]["findings"] == run.of("fit", "xml").result["findings"]
    assert run.of("fit", "no XML").status == "failed"


def test_archives_are_fetched_and_nothing_stays(ansible: Ansible, tmp_path: Path) -> None:
    task = {"name": "fetch", "nestd.kvm.support_archive": {"dest": f"{tmp_path}/fetched/"}}
    play = [{"hosts": "all", "tasks": [task]}]
    hosts = [SimulatedHost("one"), SimulatedHost("two", "amd")]
    with running_hosts(tmp_path / "hosts", hosts) as members:
        run = ansible.playbook(tmp_path, members, play, "--check")
        assert run.of("one", "fetch").changed, run.output
        assert not (tmp_path / "fetched").exists()
        run = ansible.playbook(tmp_path, members, play)
        assert run.status == 0, run.output
        for name, member in members.items():
            archive = tmp_path / f"fetched/{name}.tar.gz"
            assert archive.stat().st_mode & 0o777 == 0o600
            assert run.of(name, "fetch").result["size"] == archive.stat().st_size
            with tarfile.open(archive) as tar:
                assert any(each.endswith("kvm.conf") for each in tar.getnames())
            assert list((member.python.parent / "tmp").rglob("*.tar.gz")) == []

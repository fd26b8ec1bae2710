# SPDX-License-Identifier: LGPL-2.1-or-later
"""kvm with its vendor module: reloaded, changed, rolled back, unloaded and loaded again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import machines
import pytest
from client import JOB, MODULE, ROOT, Client, refused, run

SYS_MODULE = Path("/sys/module")
KVM_CONF = Path("/etc/modprobe.d/kvm.conf")
LINES = Path("/etc/modprobe.d/zz-test.conf")
KVM = f"{ROOT}/module/kvm"
FOREIGN = b"# for this test\n"
PARAMETER = "enable_vmware_backdoor"  # read-only while kvm is loaded


def value(module: str, parameter: str) -> str:
    return (SYS_MODULE / module / "parameters" / parameter).read_text().strip()


def identities() -> list[int]:
    """The identities of both modules as currently loaded."""
    return [(SYS_MODULE / name).stat().st_ino for name in ("kvm", "kvm_amd")]


def is_loaded(name: str) -> bool:
    return (SYS_MODULE / name / "initstate").exists()


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    KVM_CONF.write_bytes(FOREIGN)
    yield
    for path in (KVM_CONF, LINES):
        path.unlink(missing_ok=True)
    for name in ("kvm_amd", "kvm"):
        if is_loaded(name):
            subprocess.run(["rmmod", name], check=True, timeout=60)
    subprocess.run(["modprobe", "kvm_amd", "nested=1"], check=True, timeout=60)


def test_a_reload_of_kvm_reloads_its_vendors_module_as_it_is_configured() -> None:
    async def test(client: Client) -> None:
        before = identities()
        LINES.write_text("options kvm_amd nested=0\n")
        plan = await client.call(KVM, MODULE, "Plan", "a{ss}s", {PARAMETER: "1"}, "now")
        assert any("nested=0 instead of 1" in each for each in plan["warnings"].value)
        assert await client.blockers("kvm") == []
        await client.call(KVM, MODULE, "Reload", "sa{sv}", "now", {})
        assert all(new != old for new, old in zip(identities(), before))
        assert value("kvm_amd", "nested") == "0"
        assert await client.module("kvm_amd", "Nested") == "no"

    run(test)


def test_a_parameter_of_kvm_that_only_a_load_takes_is_set_and_verified() -> None:
    async def test(client: Client) -> None:
        await client.set_parameters("kvm", "now", **{PARAMETER: "1"})
        assert value("kvm", PARAMETER) == "Y"
        assert value("kvm_amd", "nested") == "1"
        assert KVM_CONF.read_bytes() == FOREIGN + f"options kvm {PARAMETER}=1\n".encode()
        assert await client.module("kvm", "State") == "in-sync"

    run(test)


def test_where_the_vendors_module_does_not_come_back_both_are_as_before() -> None:
    async def test(client: Client) -> None:
        LINES.write_text("install kvm_amd /bin/true\n")
        error = await refused(client.set_parameters("kvm", "now", **{PARAMETER: "1"}))
        assert error.name == "org.nestd1.Error.RolledBack"
        assert f"{LINES}:1" in error.text
        assert (value("kvm", PARAMETER), value("kvm_amd", "nested")) == ("N", "1")
        assert KVM_CONF.read_bytes() == FOREIGN
        assert os.listdir("/run/nestd/transactions") == []

    run(test)


def test_it_waits_for_machines_as_one_job_of_both() -> None:
    async def test(client: Client) -> None:
        with machines.bare_machine():
            error = await refused(client.set_parameters("kvm", "now", **{PARAMETER: "1"}))
            assert error.name == "org.nestd1.Error.Busy"
            job = await client.set_parameters("kvm", "idle", **{PARAMETER: "1"})
            found = await client.blockers("kvm")
            assert [kind for kind, _, _, _ in found] == ["machine"]
            await client.becomes(job, JOB, "Blockers", found)
            assert value("kvm", PARAMETER) == "N"
        assert (await client.ended(job))[1] == "done"
        assert value("kvm", PARAMETER) == "Y"
        assert value("kvm_amd", "nested") == "1"

    run(test)


def test_nestctl_takes_kvm_out_and_puts_it_back() -> None:
    nestctl = ("nestctl", "--no-ask-password")
    subprocess.run([*nestctl, "unload", "kvm"], check=True, timeout=100)
    assert not any(map(is_loaded, ("kvm", "kvm_amd")))
    assert not Path("/dev/kvm").exists()
    status = subprocess.run([*nestctl, "nested"], stdout=subprocess.PIPE, text=True, timeout=100)
    assert "kvm_amd is not loaded" in status.stdout
    subprocess.run([*nestctl, "load", "kvm"], check=True, timeout=100)
    assert all(map(is_loaded, ("kvm", "kvm_amd")))
    with machines.bare_machine():
        pass

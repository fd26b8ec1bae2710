# SPDX-License-Identifier: LGPL-2.1-or-later
"""IBM Z, on a processor without SIE: the real kvm exists, and the real kernel refuses to load it.

The tests run in this order in one machine; restore() runs after each of them.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

from client import MANAGER, MODULE, ROOT, Client, refused, run

from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.kernel import kmod

KVM_CONF = Path("/etc/modprobe.d/kvm.conf")
PATH = f"{ROOT}/module/kvm"
OWN = "org.nestd1.Error."


def restore() -> None:
    """Remove all settings."""
    KVM_CONF.unlink(missing_ok=True)


def test_kernel_refuses_to_load_it() -> None:
    done = subprocess.run(["modprobe", "kvm"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "No such device" in done.stderr
    assert "SIE is not available" in subprocess.check_output(["dmesg"], text=True)


def test_everything_can_be_read() -> None:
    async def test(client: Client) -> None:
        assert await client.get(ROOT, MANAGER, "Vendor") == "s390"
        assert await client.get(ROOT, MANAGER, "HostModule") == PATH
        expected = {
            "Availability": "loadable",
            "Loaded": False,
            "RefCount": -1,
            "Parameters": {},
            "Nested": "unknown",
            "NestedConfigured": "unset",
            "NestedNext": "default",
            "State": "not-loaded",
        }
        found = {name: await client.module("kvm", name) for name in expected}
        assert found == expected
        assert await client.blockers("kvm") == []
        findings = await client.call(ROOT, MANAGER, "Validate")
        assert {verdict for _, verdict, _, _ in findings} <= {"pass", "note", "warn", "fail"}
        assert json.loads(await client.call(ROOT, MANAGER, "Describe"))

    run(test)


def test_types_are_those_of_the_module_file() -> None:
    types = asyncio.run(kmod.parameter_types(Path("/"), _release(), "kvm"))
    assert types["nested"] is ParameterType.INT
    assert types["hpage"] is ParameterType.INT
    listed = subprocess.check_output(["modinfo", "-F", "parm", "kvm"], text=True).splitlines()
    assert types.keys() == {line.partition(":")[0] for line in listed}
    assert ParameterType.UNKNOWN not in types.values()

    async def test(client: Client) -> None:
        error = await refused(client.set_parameters("kvm", "boot", nested="Y"))
        assert error.name == OWN + "InvalidParameter"
        error = await refused(client.set_parameters("kvm", "boot", ept="1"))
        assert error.name == OWN + "InvalidParameter"

    run(test)


def test_boot_writes() -> None:
    async def test(client: Client) -> None:
        assert await client.set_nested("kvm", True, "boot") == "/"
        assert KVM_CONF.read_text() == "options kvm nested=1\n"
        assert await client.module("kvm", "NestedConfigured") == "yes"
        assert await client.module("kvm", "NestedNext") == "yes"
        assert await client.module("kvm", "State") == "not-loaded"
        await client.set_parameters("kvm", "boot", nested="")
        assert KVM_CONF.read_text() == ""

    run(test)


def test_nested_and_hpage_exclude_each_other() -> None:
    async def test(client: Client) -> None:
        error = await refused(client.set_parameters("kvm", "boot", nested="1", hpage="1"))
        assert error.name == OWN + "Conflict"
        await client.set_parameters("kvm", "boot", hpage="1")
        error = await refused(client.set_nested("kvm", True, "boot"))
        assert error.name == OWN + "Conflict"
        assert KVM_CONF.read_text() == "options kvm hpage=1\n"

    run(test)


def test_nothing_to_reload() -> None:
    async def test(client: Client) -> None:
        error = await refused(client.call(PATH, MODULE, "Reload", "sa{sv}", "now", {}))
        assert error.name == OWN + "Missing"

    run(test)


def _release() -> str:
    return Path("/proc/sys/kernel/osrelease").read_text().strip()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks' findings on this machine and on guests match what the kernel and libvirt do."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client import MANAGER, ROOT, Client, run

NESTED = Path("/sys/module/kvm_amd/parameters/nested")
DOMAIN = """\
<domain type='kvm'>
  <name>checked</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  {cpu}
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>
"""
REQUIRE = "<feature policy='require' name='svm'/>"


def model(name: str, feature: str = "") -> str:
    return f"<cpu mode='custom' check='none'><model>{name}</model>{feature}</cpu>"


# Only a few: each takes over ten seconds to start here.
GIVEN = (f"<cpu mode='host-model'>{REQUIRE}</cpu>", model("EPYC", REQUIRE))
WITHHELD = ("<cpu mode='host-model'/>", model("EPYC"))
PASSTHROUGH = "<cpu mode='host-passthrough'/>"


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    yield
    if NESTED.read_text() != "1\n":
        load(nested=1)


def load(nested: int) -> None:
    """Reload the module without nestd; a guest that has just ended may still pin it."""
    for _ in range(100):
        if subprocess.run(["rmmod", "kvm_amd"], stderr=subprocess.DEVNULL).returncode == 0:
            break
        time.sleep(0.1)
    subprocess.run(["modprobe", "kvm_amd", f"nested={nested}"], check=True, timeout=60)


def virsh(*words: str) -> str:
    done = subprocess.run(
        ["virsh", "--quiet", *words], check=True, timeout=60, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def start(cpu: str) -> tuple[bool, str]:
    """Start a guest with that <cpu>; returns whether its processor has svm, and its live XML."""
    path = Path("/run/checked.xml")
    path.write_text(DOMAIN.format(cpu=cpu))
    virsh("create", "--paused", str(path))
    try:
        ask = {
            "execute": "qom-get",
            "arguments": {"path": "/machine/unattached/device[0]", "property": "svm"},
        }
        answer = json.loads(virsh("qemu-monitor-command", "checked", json.dumps(ask)))
        return answer["return"], virsh("dumpxml", "checked")
    finally:
        virsh("destroy", "checked")


async def check_guest(client: Client, xml: str) -> bool:
    ready, _ = await client.call(ROOT, MANAGER, "CheckGuest", "s", xml)
    assert isinstance(ready, bool)
    return ready


async def validate(client: Client) -> dict[str, Any]:
    found = await client.call(ROOT, MANAGER, "Validate")
    return {id_: (verdict, f"{summary} {hint}") for id_, verdict, summary, hint in found}


def agrees(cpu: str, expected: bool) -> None:
    async def test(client: Client) -> None:
        ready = await check_guest(client, DOMAIN.format(cpu=cpu))
        has_svm, running = start(cpu)
        assert has_svm is expected
        assert ready is has_svm
        assert await check_guest(client, running) is has_svm

    run(test)


def test_guests_that_are_ready_get_svm() -> None:
    for cpu in GIVEN:
        agrees(cpu, True)


def test_guests_that_are_not_ready_get_none() -> None:
    for cpu in WITHHELD:
        agrees(cpu, False)


def test_no_guest_gets_svm_with_the_module_switched_off() -> None:
    load(nested=0)
    agrees(PASSTHROUGH, False)


def test_validate_says_what_is_so() -> None:
    async def test(client: Client) -> None:
        has_svm, _ = start(PASSTHROUGH)
        assert has_svm
        found = await validate(client)
        assert found["cpu"][0] == "pass"
        assert "svm" in found["cpu"][1]
        assert found["nested"][0] == "pass"
        assert found["device"][0] == "pass"
        assert found["initramfs"][0] == "pass"
        assert "/boot/initrd.img-" in found["initramfs"][1]
        assert found["host-virtualization"][0] == "warn"
        assert "not supported" in found["host-virtualization"][1]
        assert "Debian" in found["host-system"][1]
        assert found["libvirt"] == ("pass", "libvirt knows that nested virtualization is on. ")
        load(nested=0)
        found = await validate(client)
        assert found["nested"][0] == "fail"
        assert found["next-load"][0] == "warn"
        assert found["libvirt"][0] == "note"
        assert "was on; now it is off" in found["libvirt"][1]

    run(test)

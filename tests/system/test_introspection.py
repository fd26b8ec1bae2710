# SPDX-License-Identifier: LGPL-2.1-or-later
"""The introspection of nestd's objects matches the contract exactly."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest
from contract import FILES
from running_nestd import ROOT, Nestd, client_of

OBJECTS = {
    ROOT: "org.nestd1.Manager",
    f"{ROOT}/module/kvm_intel": "org.nestd1.Module",
    f"{ROOT}/job/1": "org.nestd1.Job",
}


def contract(interface: str) -> ET.Element:
    found = ET.fromstring(FILES[interface].read_text()).find("interface")
    assert found is not None
    return found


def shape(element: ET.Element) -> tuple[object, ...]:
    """An element without comments, white space and the order of members."""
    children = sorted((shape(child) for child in element if isinstance(child.tag, str)), key=repr)
    if element.tag in ("method", "signal"):  # the order of arguments counts
        children = [shape(child) for child in element if isinstance(child.tag, str)]
    return element.tag, sorted(element.attrib.items()), children


def test_introspection_is_the_contract(intel: Nestd) -> None:
    async def body() -> None:
        async with client_of(intel) as client:
            await client.set_nested("kvm_intel", False, "now")
            for path, name in OBJECTS.items():
                [text] = await client.call(
                    path, "org.freedesktop.DBus.Introspectable", "Introspect"
                )
                node = ET.fromstring(str(text))
                [said] = [each for each in node.iter("interface") if each.get("name") == name]
                assert shape(said) == shape(contract(name)), path

    asyncio.run(body())


def test_the_manager_manages_all_below_it(intel: Nestd) -> None:
    async def body() -> None:
        async with client_of(intel) as client:
            [objects] = await client.call(
                ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"
            )
            assert isinstance(objects, dict)
            modules = {f"{ROOT}/module/{name}" for name in ("kvm", "kvm_amd", "kvm_intel")}
            assert {path for path in objects if "/log/" not in path} == modules
            assert f"{ROOT}/log/virtqemud" in objects
            job = await client.set_nested("kvm_intel", False, "now")
            added = await client.wait_for(lambda signal: signal.member == "InterfacesAdded")
            assert (added.path, added.args[0]) == (ROOT, job)

    asyncio.run(body())


@pytest.mark.skipif(not shutil.which("busctl"), reason="needs busctl (package systemd)")
def test_busctl_shows_signatures_and_flags(intel: Nestd) -> None:
    command = ["busctl", f"--address={intel.address}", "introspect", "org.nestd1"]
    command += [f"{ROOT}/module/kvm_intel", "org.nestd1.Module"]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = {line.split()[0]: line.split() for line in shown.splitlines()}
    assert lines[".SetNested"][1:4] == ["method", "bsa{sv}", "o"]
    assert lines[".Plan"][1:4] == ["method", "a{ss}s", "a{sv}"]
    assert lines[".Assignments"][1:3] == ["property", "a(sssu)"]
    assert lines[".Name"][-1] == "const"
    assert lines[".State"][-1] == "emits-change"
    assert lines[".RefCount"][-1] == "-"

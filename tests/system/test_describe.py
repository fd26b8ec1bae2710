# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.Describe on simulated hosts: valid against describe.schema.json, and true."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from private_bus import PrivateBus
from running_nestd import BUS_NAME, MANAGER, ROOT, Client, client_of, running_nestd

from nestd.dbus.connection.transport import Connection

SCHEMA = json.loads(Path(__file__).with_name("describe.schema.json").read_text())
HOST_MODULES = {"intel": "kvm_intel", "amd": "kvm_amd", "power": "kvm_hv", "s390": "kvm"}


async def describe(client: Client) -> dict[str, Any]:
    [text] = await client.call(ROOT, MANAGER, "Describe")
    document = json.loads(str(text))
    jsonschema.validate(document, SCHEMA, jsonschema.Draft7Validator)
    assert isinstance(document, dict)
    return document


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"vendor": "intel"}, SCHEMA)


@pytest.mark.parametrize("vendor", HOST_MODULES)
def test_a_fresh_host(vendor: str, bus: PrivateBus, tmp_path: Path) -> None:
    with running_nestd(bus.address, tmp_path, "--simulate", vendor) as nestd:

        async def test() -> None:
            async with client_of(nestd) as client:
                document = await describe(client)
            module = HOST_MODULES[vendor]
            assert document["vendor"] == vendor
            assert document["host_module"] == module
            assert document["modules"][module]["loaded"] is True
            assert document["machines"] == document["jobs"] == document["inhibitors"] == []

        asyncio.run(test())


@pytest.mark.parametrize("vendor", HOST_MODULES)
def test_a_busy_host(vendor: str, bus: PrivateBus, tmp_path: Path) -> None:
    """A machine, a job that waits for it, an inhibitor, invalid configuration, a libvirt daemon."""
    module = HOST_MODULES[vendor]
    for path in ("usr/sbin/virtqemud", "etc/libvirt/virtqemud.conf"):
        (tmp_path / "root" / path).parent.mkdir(parents=True)
        (tmp_path / "root" / path).write_text('log_filters = "1:qemu"\n')
    with running_nestd(bus.address, tmp_path, "--simulate", vendor) as nestd:
        odd = f"options {module} nested=0 # was on\noptions {module} bare\nnonsense\n"
        (nestd.root / "etc/modprobe.d/aa.conf").write_text(odd)
        (nestd.root / "etc/modprobe.d/dead.conf").symlink_to("nowhere")

        async def test() -> None:
            async with client_of(nestd) as client, inhibitor(bus.address):
                nestd.start_machine("web1")
                await client.wait_for_property(ROOT, "MachineCount", 1)
                path = f"{ROOT}/module/{module}"
                await client.call(path, f"{BUS_NAME}.Module", "Reload", "sa{sv}", "idle", {})
                document = await describe(client)
            assert [each["name"] for each in document["machines"]] == ["web1"]
            assert [each["who"] for each in document["inhibitors"]] == ["backup"]
            assert [each["state"] for each in document["jobs"]] == ["waiting"]
            assert document["jobs"][0]["blockers"][0]["kind"] == "machine"
            assert {"parameter": "bare", "value": None, "line": 2} in [
                {key: each[key] for key in ("parameter", "value", "line")}
                for each in document["modules"][module]["assignments"]
            ]
            assert document["log_daemons"]["virtqemud"]["filters"] == "1:qemu"
            assert "dead.conf" in "".join(document["config_problems"])

        asyncio.run(test())


@asynccontextmanager
async def inhibitor(address: str) -> AsyncIterator[None]:
    """A client that inhibits reloads."""
    connection = await Connection.connect(address, take_descriptors=True)
    why = ("backup", "nightly run")
    [guard] = await connection.call(
        BUS_NAME, ROOT, MANAGER, "Inhibit", "ss", why, take_descriptor=True
    )
    try:
        yield
    finally:
        os.close(int(str(guard)))
        connection.close()


def test_a_host_without_kvm(bus: PrivateBus, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with running_nestd(bus.address, tmp_path) as nestd:

        async def test() -> None:
            async with client_of(nestd) as client:
                document = await describe(client)
            assert document["vendor"] == "none"
            assert document["host_module"] is None

        asyncio.run(test())

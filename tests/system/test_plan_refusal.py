# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plan reports the error that the request itself would get, on hosts where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from running_nestd import MANAGER, ROOT, Nestd, client_of

from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError

FILES = {
    "Overridden": {"etc/modprobe.d/zz.conf": "options kvm_intel nested=1\n"},
    "Overridden by the command line": {"proc/cmdline": "quiet kvm_intel.nested=1\n"},
    "Conflict": {"etc/modprobe.d/a.conf": "options kvm_intel ept=maybe\n"},
    "Busy": {"simulated/machines/web01": ""},
    "served": {},
}


async def _both(nestd: Nestd, parameters: Mapping[str, str], when: str) -> tuple[object, object]:
    """The error that Plan predicts for the request, and its actual error; None for none."""
    async with client_of(nestd) as client:
        plan = await client.plan("kvm_intel", dict(parameters), when)
        met = None
        try:
            await client.set_parameters("kvm_intel", dict(parameters), when)
        except BusError as error:
            met = (error.name, error.text)
    found = plan.get("refusal")
    return (tuple(found) if isinstance(found, (list, tuple)) else found), met


@pytest.mark.parametrize("when", ["now", "idle", "boot"])
@pytest.mark.parametrize("case", FILES)
def test_the_refusal_is_the_one_that_comes(intel: Nestd, case: str, when: str) -> None:
    for name, text in FILES[case].items():
        (intel.root / name).write_text(text)
    told, met = asyncio.run(_both(intel, {"nested": "0"}, when))
    assert told == met
    if when == "now" and case != "served":
        assert isinstance(met, tuple)
        assert met[0] == f"org.nestd1.Error.{case.partition(' ')[0]}"


def test_an_inhibitor_is_told_as_one(intel: Nestd) -> None:
    async def body() -> None:
        connection = await Connection.connect(intel.address, take_descriptors=True)
        call = (ROOT, MANAGER, "Inhibit", "ss", ["backup", "to see"])
        await connection.call("org.nestd1", *call, take_descriptor=True)
        told, met = await _both(intel, {"nested": "0"}, "now")
        connection.close()
        assert isinstance(met, tuple)
        assert met[0] == "org.nestd1.Error.Inhibited"
        assert told == met

    asyncio.run(body())

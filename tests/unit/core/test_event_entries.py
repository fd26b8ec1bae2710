# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal entries of changes and reloads, with the fields of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nestd.core.changes.changes import Changes
from nestd.core.drift import watch as drift_watch
from nestd.core.drift.drift import OnDrift
from nestd.core.errors import Busy, RolledBack
from nestd.core.journal_events import Event
from nestd.core.model import When
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

ANNA = 1000
CONF = "/etc/modprobe.d/kvm.conf"


class Stubborn(SimulatedKernel):
    """Rejects every write to a parameter."""

    def write_parameter(self, name: str, parameter: str, value: str) -> None:
        raise PermissionError(1, "Operation not permitted")


def entries(caplog: pytest.LogCaptureFixture, event: Event) -> list[dict[str, str]]:
    """The fields of all entries of EVENT, without their prefix."""
    found = [getattr(record, "journal_fields", {}) for record in caplog.records]
    return [
        {key[len("NESTD_") :]: value for key, value in fields.items() if key != "MESSAGE_ID"}
        for fields in found
        if fields.get("MESSAGE_ID") == event.message_id
    ]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="nestd")
    return caplog


def run(path: Path, kernel: SimulatedKernel, test: Callable[[Changes], Awaitable[None]]) -> None:
    async def body() -> None:
        view = HostView(Root(path), kernel, KMOD, "none")
        await view.start()
        changes = Changes(view, Reloads(view, Records(Root(path))))
        await test(changes)
        await changes.reloads.close()
        view.close()

    asyncio.run(body())


async def change(changes: Changes, module: str, value: str, when: When) -> None:
    await changes.apply(await changes.request(module, {"nested": value}, when), ANNA)


def test_a_change_and_its_reload(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def test(changes: Changes) -> None:
        await change(changes, "kvm_intel", "0", When.NOW)

    run(tmp_path, SimulatedKernel(Root(tmp_path), KINDS["intel"]), test)
    assert entries(log, Event.VALUE_CHANGED) == [
        {"MODULE": "kvm_intel", "PARAMETERS": "nested=0", "FILE": CONF, "CALLER_UID": "1000"}
    ]
    assert entries(log, Event.RELOAD_DONE) == [
        {"MODULE": "kvm_intel", "JOB": "1", "CALLER_UID": "1000"}
    ]


def test_a_reload_that_is_refused(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def test(changes: Changes) -> None:
        changes.view.root.at("/simulated/machines/vm1").touch()
        with pytest.raises(Busy):
            await change(changes, "kvm_intel", "0", When.NOW)

    run(tmp_path, SimulatedKernel(Root(tmp_path), KINDS["intel"]), test)
    assert entries(log, Event.RELOAD_REFUSED) == [
        {"MODULE": "kvm_intel", "JOB": "1", "CALLER_UID": "1000"}
    ]
    assert entries(log, Event.VALUE_CHANGED) == []


def test_a_reload_that_is_rolled_back(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def test(changes: Changes) -> None:
        conf = changes.view.root.at("/etc/modprobe.d/a.conf")
        conf.write_text("install kvm_intel /bin/true\n")
        changes.view.config_changed()
        with pytest.raises(RolledBack):
            await change(changes, "kvm_intel", "0", When.NOW)

    run(tmp_path, SimulatedKernel(Root(tmp_path), KINDS["intel"]), test)
    assert entries(log, Event.RELOAD_ROLLED_BACK) == [
        {"MODULE": "kvm_intel", "JOB": "1", "CALLER_UID": "1000"}
    ]


def test_a_change_in_place_that_is_rolled_back(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    async def test(changes: Changes) -> None:
        with pytest.raises(RolledBack, match="Operation not permitted"):
            await change(changes, "kvm_hv", "0", When.NOW)

    run(tmp_path, Stubborn(Root(tmp_path), KINDS["power"]), test)
    assert entries(log, Event.RELOAD_ROLLED_BACK) == [
        {"MODULE": "kvm_hv", "JOB": "1", "CALLER_UID": "1000"}
    ]


def test_a_job_that_is_cancelled(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def test(changes: Changes) -> None:
        changes.view.root.at("/simulated/machines/vm1").touch()
        await change(changes, "kvm_intel", "0", When.IDLE)
        [job] = changes.reloads.jobs.current()
        await changes.reloads.cancel(job, ANNA + 1)

    run(tmp_path, SimulatedKernel(Root(tmp_path), KINDS["intel"]), test)
    assert entries(log, Event.JOB_CANCELLED) == [
        {"MODULE": "kvm_intel", "JOB": "1", "CALLER_UID": "1001"}
    ]


def test_a_drift(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def test(changes: Changes) -> None:
        watch = drift_watch.DriftWatch(changes, OnDrift.REPORT, 0.05)
        watch.start()
        changes.view.root.at(CONF).write_text("options kvm_intel nested=0\n")
        for _ in range(200):
            if entries(log, Event.DRIFT_FOUND):
                break
            await asyncio.sleep(0.05)
        await watch.close()

    run(tmp_path, SimulatedKernel(Root(tmp_path), KINDS["intel"]), test)
    assert entries(log, Event.DRIFT_FOUND) == [
        {"MODULE": "kvm_intel", "FILE": CONF, "POLICY": "report"}
    ]

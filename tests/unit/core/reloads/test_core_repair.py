# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host on which the module loads with neither the new nor the old parameters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from nestd.core.changes.changes import Changes
from nestd.core.errors import ReloadFailed
from nestd.core.model import When
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.recovery import recover
from nestd.host.kernel.interface import LoadError
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records


class Stubborn(SimulatedKernel):
    """Loads nothing while it is broken."""

    broken = True

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        if self.broken:
            raise LoadError("could not insert 'kvm_intel': Operation not supported")
        await super().load(name, parameters, only_these=only_these)


async def start(root: Root, kernel: SimulatedKernel) -> Changes:
    view = HostView(root, kernel, KMOD, "none")
    await view.start()
    reloads = Reloads(view, Records(root))
    await recover(reloads)
    return Changes(view, reloads)


async def fail(changes: Changes) -> None:
    change = changes.prepare("kvm_intel", {"nested": "0"}, When.NOW)
    with pytest.raises(ReloadFailed, match="This host has no KVM now") as caught:
        await changes.apply(change, 0)
    assert "`modprobe kvm_intel` was tried" in str(caught.value)
    assert "Operation not supported" in str(caught.value)


async def until_loaded(kernel: SimulatedKernel) -> str:
    for _ in range(500):
        facts = kernel.read_module("kvm_intel")
        if facts.loaded:
            return facts.parameters["nested"]
        await asyncio.sleep(0.01)
    raise AssertionError("it stays unloaded")


def test_the_next_event_is_another_occasion(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Stubborn(root, KINDS["intel"])
        changes = await start(root, kernel)
        before = root.at("/etc/modprobe.d/kvm.conf").read_bytes()
        await fail(changes)
        assert root.at("/etc/modprobe.d/kvm.conf").read_bytes() == before
        kernel.broken = False
        root.at("/sys/module/another").mkdir()  # an event of a module
        assert await until_loaded(kernel) == "Y"
        await changes.reloads.close()
        changes.view.close()
        assert not list(root.at("/run/nestd/transactions").iterdir())

    asyncio.run(body())


def test_the_next_start_is_another_occasion(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, Stubborn(root, KINDS["intel"]))
        await fail(changes)
        await changes.reloads.close()
        changes.view.close()
        kernel = SimulatedKernel(root, KINDS["intel"])
        changes = await start(root, kernel)
        assert await until_loaded(kernel) == "Y"
        changes.view.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    "record", [b"", b"{}", b"\xff\x00", b"[1]", b'{"format": 1, "boot_id": "another boot"}']
)
def test_a_damaged_record_is_set_aside(tmp_path: Path, record: bytes) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = SimulatedKernel(root, KINDS["intel"])
        directory = root.at("/run/nestd/transactions")
        directory.mkdir(parents=True)
        (directory / "3").write_bytes(record)
        changes = await start(root, kernel)
        assert changes.reloads.jobs.current() == ()
        assert [path.name for path in directory.iterdir()] == ["3.set-aside"]
        assert (directory / "3.set-aside").read_bytes() == record
        assert await until_loaded(kernel) == "Y"
        changes.view.close()

    asyncio.run(body())


def test_a_later_request_counts_more_than_what_was_before(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Stubborn(root, KINDS["intel"])
        changes = await start(root, kernel)
        await fail(changes)
        later = changes.prepare("kvm_intel", {"nested": "0"}, When.BOOT)
        await changes.apply(later, 0)
        kernel.broken = False
        root.at("/sys/module/another").mkdir()
        assert await until_loaded(kernel) == "N"
        await changes.reloads.close()
        changes.view.close()
        changes = await start(root, kernel)
        assert kernel.read_module("kvm_intel").parameters["nested"] == "N"
        assert not list(root.at("/run/nestd/transactions").iterdir())
        await changes.reloads.close()
        changes.view.close()

    asyncio.run(body())


def test_what_somebody_else_loads_meanwhile_stays(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Stubborn(root, KINDS["intel"])
        changes = await start(root, kernel)
        await fail(changes)
        other = SimulatedKernel(root, KINDS["intel"])
        await other.load("kvm_intel", [("nested", "0"), ("ept", "0")])
        kernel.broken = False
        deadline = time.monotonic() + 20
        while list(root.at("/run/nestd/transactions").iterdir()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
            assert kernel.read_module("kvm_intel").parameters["ept"] == "N"
        await changes.reloads.close()
        changes.view.close()

    asyncio.run(body())


def test_what_was_told_of_a_failure_is_still_so_when_it_is_read(tmp_path: Path) -> None:
    """The news of the change itself would have it undone before the caller is answered."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = Stubborn(root, KINDS["intel"])
        changes = await start(root, kernel)
        await fail(changes)
        kernel.broken = False
        changes.view.config_changed()
        changes.reloads.unfinished.wake()
        await asyncio.sleep(0.1)
        assert not kernel.read_module("kvm_intel").loaded
        assert await until_loaded(kernel) == "Y", "without another hint"
        await changes.reloads.close()
        changes.view.close()

    asyncio.run(body())

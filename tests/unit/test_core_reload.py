# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reloads when something else happens at the worst moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from nestd.core.change import Effect
from nestd.core.errors import Busy, RolledBack, StalePlan
from nestd.core.inhibitors import Inhibitor
from nestd.core.jobs import Job
from nestd.core.manager import Manager
from nestd.core.model import JobState, When
from nestd.core.recovery import recover
from nestd.core.reloads import Reloads, ShutdownDelay
from nestd.core.view import HostView
from nestd.host.kernel import LoadError
from nestd.host.records import Records
from nestd.host.root import Root
from nestd.host.simulated_host import KINDS
from nestd.host.simulated_kernel import KMOD, SimulatedKernel

MODULE = "kvm_intel"


class Slow(SimulatedKernel):
    """Loads when it is told to, and says when it has come so far."""

    def __init__(self, root: Root) -> None:
        super().__init__(root, KINDS["intel"])
        self.unloaded, self.go_on = asyncio.Event(), asyncio.Event()

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        self.unloaded.set()
        await self.go_on.wait()
        await super().load(name, parameters, only_these=only_these)


async def start(
    root: Root, kernel: SimulatedKernel, shutdown_delay: ShutdownDelay | None = None
) -> Manager:
    view = HostView(root, kernel, KMOD, "none")
    await view.start()
    reloads = Reloads(view, Records(root), shutdown_delay)
    await recover(reloads)
    return Manager(view, reloads)


async def stop(manager: Manager) -> None:
    await manager.reloads.close()
    manager.view.close()


async def set_nested(manager: Manager, value: str, when: When) -> Job | None:
    return await manager.apply(manager.prepare(MODULE, {"nested": value}, when), 0)


async def until_ended(job: Job) -> JobState:
    for _ in range(500):
        if job.ended:
            return job.state
        await asyncio.sleep(0.01)
    raise AssertionError(f"job {job.id} is still {job.state.value}")


def records(root: Root) -> list[str]:
    return sorted(os.listdir(root.at("/run/nestd/transactions")))


def test_a_job_that_reloads_is_not_cancelled(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Slow(root)
        manager = await start(root, kernel)
        job = await set_nested(manager, "0", When.IDLE)
        assert job is not None
        await kernel.unloaded.wait()
        assert job.state is JobState.LOADING
        with pytest.raises(Busy, match="only a waiting job"):
            await manager.reloads.cancel(job)
        assert records(root) == [str(job.id)]
        kernel.go_on.set()
        assert await until_ended(job) is JobState.DONE
        await stop(manager)

    asyncio.run(body())


def test_a_job_that_is_cancelled_at_the_last_moment_reloads_nothing(tmp_path: Path) -> None:
    """Between the decision to reload and the first step, while logind is asked for its lock."""

    async def body() -> None:
        root = Root(tmp_path)
        asked, go_on = asyncio.Event(), asyncio.Event()

        @contextlib.asynccontextmanager
        async def slow_logind() -> AsyncIterator[None]:
            asked.set()
            await go_on.wait()
            yield

        manager = await start(root, SimulatedKernel(root, KINDS["intel"]), slow_logind)
        ends: list[JobState] = []
        manager.reloads.jobs.on_end.append(lambda job: ends.append(job.state))
        job = await set_nested(manager, "0", When.IDLE)
        assert job is not None
        await asked.wait()
        cancelling = asyncio.ensure_future(manager.reloads.cancel(job))
        await asyncio.sleep(0)
        go_on.set()
        try:
            await cancelling
        except Busy:
            assert await until_ended(job) is JobState.DONE
        else:
            assert manager.view.kernel.read_module(MODULE).parameters["nested"] == "Y"
        assert len(ends) == 1
        await stop(manager)

    asyncio.run(body())


def test_who_holds_an_inhibitor_sees_no_reload(tmp_path: Path) -> None:
    """Also one who asked while a reload was about to begin."""

    async def body() -> None:
        root = Root(tmp_path)
        asked, go_on = asyncio.Event(), asyncio.Event()

        @contextlib.asynccontextmanager
        async def slow_logind() -> AsyncIterator[None]:
            asked.set()
            await go_on.wait()
            yield

        manager = await start(root, SimulatedKernel(root, KINDS["intel"]), slow_logind)
        job = await set_nested(manager, "0", When.IDLE)
        assert job is not None
        await asked.wait()
        inhibitor = Inhibitor("a backup", "to see", 1000, 1)
        inhibiting = asyncio.ensure_future(manager.reloads.inhibit(inhibitor))
        await asyncio.sleep(0)
        go_on.set()
        guard = await inhibiting
        before = manager.view.kernel.read_module(MODULE).parameters["nested"]
        await asyncio.sleep(0.2)
        assert manager.view.kernel.read_module(MODULE).parameters["nested"] == before == "N"
        os.close(guard)
        await stop(manager)

    asyncio.run(body())


class Deviceless(SimulatedKernel):
    """/dev/kvm does not come back as it was: there is no udev."""

    async def wait_for_device(self, timeout: float) -> bool:
        return False


def test_a_device_that_stays_away_is_no_reason_to_say_that_nothing_loads(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Deviceless(root, KINDS["intel"])
        manager = await start(root, kernel)
        with pytest.raises(RolledBack, match="/dev/kvm did not come back"):
            await set_nested(manager, "0", When.NOW)
        assert kernel.read_module(MODULE).parameters["nested"] == "Y"
        assert records(root) == []
        await stop(manager)

    asyncio.run(body())


class Exhausted(SimulatedKernel):
    """Loading fails once as nobody foresaw: asyncio could not start the thread that waits."""

    failures = 1

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("can't start new thread")
        await super().load(name, parameters, only_these=only_these)


@pytest.mark.parametrize("when", [When.NOW, When.IDLE])
def test_whatever_fails_after_the_unload_the_module_is_loaded_again(
    tmp_path: Path, when: When
) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Exhausted(root, KINDS["intel"])
        manager = await start(root, kernel)
        conf = root.at("/etc/modprobe.d/kvm.conf").read_bytes()
        with contextlib.suppress(RolledBack):
            job = await set_nested(manager, "0", when)
            assert job is not None
            assert await until_ended(job) is JobState.ROLLED_BACK
            assert "start new thread" not in job.error
        assert kernel.read_module(MODULE).parameters["nested"] == "Y"
        assert root.at("/etc/modprobe.d/kvm.conf").read_bytes() == conf
        assert records(root) == []
        await stop(manager)

    asyncio.run(body())


def test_a_reload_that_is_cut_off_keeps_its_record(tmp_path: Path) -> None:
    """As at the end of a process that was not waited for."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = Slow(root)
        manager = await start(root, kernel)
        reloading = asyncio.ensure_future(set_nested(manager, "0", When.NOW))
        await kernel.unloaded.wait()
        reloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reloading
        manager.view.close()
        assert len(records(root)) == 1
        manager = await start(root, SimulatedKernel(root, KINDS["intel"]))
        assert manager.view.kernel.read_module(MODULE).parameters["nested"] == "N"
        assert records(root) == []
        await stop(manager)

    asyncio.run(body())


class Broken(SimulatedKernel):
    """Does not load with nested=0."""

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        await super().load(name, parameters, only_these=only_these)
        if self.read_module(name).parameters["nested"] == "N":
            await self.unload(name)
            raise LoadError("could not insert 'kvm_intel': Operation not supported")


def test_a_waiting_job_goes_back_to_what_ran_last(tmp_path: Path) -> None:
    """Not to what ran when the job was asked for."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = Broken(root, KINDS["intel"])
        manager = await start(root, kernel)
        guard = await manager.reloads.inhibit(Inhibitor("a test", "to see", 0, 1))
        job = await set_nested(manager, "0", When.IDLE)
        assert job is not None
        await kernel.unload(MODULE)
        await kernel.load(MODULE, [("ple_gap", "64"), ("nested", "1")])
        assert kernel.read_module(MODULE).parameters["ple_gap"] == "64"
        os.close(guard)
        assert await until_ended(job) is JobState.ROLLED_BACK
        assert kernel.read_module(MODULE).parameters["ple_gap"] == "64"
        await stop(manager)

    asyncio.run(body())


def test_a_waiting_job_ends_when_others_decide_otherwise(tmp_path: Path) -> None:
    """Instead of a reload that cannot bring what was asked for, and another one back."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = SimulatedKernel(root, KINDS["intel"])
        manager = await start(root, kernel)
        guard = await manager.reloads.inhibit(Inhibitor("a test", "to see", 0, 1))
        job = await set_nested(manager, "0", When.IDLE)
        assert job is not None
        loaded = root.at(f"/sys/module/{MODULE}").stat().st_ino
        root.at("/etc/modprobe.d/zz.conf").write_text("options kvm_intel nested=1\n")
        manager.view.config_changed()
        os.close(guard)
        assert await until_ended(job) is JobState.FAILED
        assert "nested=0" in job.error
        assert root.at(f"/sys/module/{MODULE}").stat().st_ino == loaded
        await stop(manager)

    asyncio.run(body())


def test_what_was_not_allowed_is_not_done(tmp_path: Path) -> None:
    """A reload needs leave of its own, which nobody asked for while the module was not loaded."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = SimulatedKernel(root, KINDS["intel"])
        manager = await start(root, kernel)
        await kernel.unload(MODULE)
        change = manager.prepare(MODULE, {"nested": "0"}, When.NOW)
        assert change.effect is Effect.NONE
        await kernel.load(MODULE)
        conf = root.at("/etc/modprobe.d/kvm.conf").read_bytes()
        with pytest.raises(StalePlan, match="ask again"):
            await manager.apply(change, 0)
        assert kernel.read_module(MODULE).parameters["nested"] == "Y"
        assert root.at("/etc/modprobe.d/kvm.conf").read_bytes() == conf
        await stop(manager)

    asyncio.run(body())


def test_a_plan_gets_stale_also_while_a_password_is_asked_for(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        manager = await start(root, SimulatedKernel(root, KINDS["intel"]))
        asked = {"nested": "0"}
        token = (await manager.plan(MODULE, asked, When.BOOT)).token
        change = manager.prepare(MODULE, asked, When.BOOT, token)
        conf = root.at("/etc/modprobe.d/kvm.conf")
        conf.write_bytes(conf.read_bytes() + b"options kvm_intel ept=0\n")
        manager.view.config_changed()
        with pytest.raises(StalePlan):
            await manager.apply(change, 0)
        assert b"nested=0" not in conf.read_bytes()
        await stop(manager)

    asyncio.run(body())


def test_a_request_sees_what_those_before_it_have_done(tmp_path: Path) -> None:
    """nested=0 is no more what runs once nested=1 has been asked for, though it still runs."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = Slow(root)
        manager = await start(root, kernel)
        first = asyncio.ensure_future(set_nested(manager, "0", When.NOW))
        await kernel.unloaded.wait()
        second = asyncio.ensure_future(manager.request(MODULE, {"nested": "1"}, When.NOW))
        third = asyncio.ensure_future(manager.request_reload(MODULE))
        await asyncio.sleep(0)
        kernel.go_on.set()
        await first
        assert (await second).effect is Effect.RELOAD
        await third
        await stop(manager)

    asyncio.run(body())

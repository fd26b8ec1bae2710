# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reloads while something else happens at the worst moment."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from nestd.core.blocking.inhibitors import Inhibitor
from nestd.core.changes.change import Effect, NeedsMoreAuthorization
from nestd.core.changes.changes import Changes
from nestd.core.errors import Busy, Missing, NotSupported, RolledBack, StalePlan
from nestd.core.model import Blocker, JobState, When
from nestd.core.modules.view import HostView
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.queue import Reloads, ShutdownDelay
from nestd.core.reloads.recovery import recover
from nestd.core.reloads.transaction import Member, Transaction
from nestd.host.editing import replacement as editing
from nestd.host.kernel.interface import LoadError
from nestd.host.kernel.real import FilesOnly
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

MODULE = "kvm_intel"


class Slow(SimulatedKernel):
    """Loads when it is told to, and signals when it has reached that point."""

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
) -> Changes:
    view = HostView(root, kernel, KMOD, "none")
    await view.start()
    reloads = Reloads(view, Records(root), shutdown_delay)
    await recover(reloads)
    return Changes(view, reloads)


async def stop(changes: Changes) -> None:
    await changes.reloads.close()
    changes.view.close()


async def set_nested(changes: Changes, value: str, when: When) -> Job | None:
    return await changes.apply(changes.prepare(MODULE, {"nested": value}, when), 0)


async def until_ended(job: Job) -> JobState:
    for _ in range(500):
        if job.ended:
            return job.state
        await asyncio.sleep(0.01)
    raise AssertionError(f"job {job.id} is still {job.state.value}")


def records(root: Root) -> list[str]:
    return sorted(os.listdir(root.at("/run/nestd/transactions")))


class Eager(SimulatedKernel):
    """Another program loads the module as soon as it is unloaded."""

    async def unload(self, name: str) -> None:
        await super().unload(name)
        await super().load(name)


def test_who_loads_it_before_the_file_is_in_place_is_overtaken_in_turn(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        conf = root.at("/etc/modprobe.d/kvm.conf")
        kernel = Eager(root, KINDS["intel"])
        before = conf.read_bytes()
        changes = await start(root, kernel)
        job = await set_nested(changes, "0", When.NOW)
        assert job is not None
        assert job.state is JobState.DONE
        assert kernel.read_module(MODULE).parameters["nested"] == "N"
        assert conf.read_bytes() == before + b"options kvm_intel nested=0\n"
        await stop(changes)

    asyncio.run(body())


def test_a_job_that_reloads_is_not_cancelled(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Slow(root)
        changes = await start(root, kernel)
        job = await set_nested(changes, "0", When.IDLE)
        assert job is not None
        await kernel.unloaded.wait()
        assert job.state is JobState.LOADING
        with pytest.raises(Busy, match="only a waiting job"):
            await changes.reloads.cancel(job, 0)
        assert records(root) == [str(job.id)]
        kernel.go_on.set()
        assert await until_ended(job) is JobState.DONE
        await stop(changes)

    asyncio.run(body())


def test_a_job_that_is_cancelled_at_the_last_moment_reloads_nothing(tmp_path: Path) -> None:
    """It is cancelled before the first step, while the lock is requested from logind."""

    async def body() -> None:
        root = Root(tmp_path)
        asked, go_on = asyncio.Event(), asyncio.Event()

        @contextlib.asynccontextmanager
        async def slow_logind() -> AsyncIterator[None]:
            asked.set()
            await go_on.wait()
            yield

        changes = await start(root, SimulatedKernel(root, KINDS["intel"]), slow_logind)
        ends: list[JobState] = []
        changes.reloads.jobs.on_end.append(lambda job: ends.append(job.state))
        job = await set_nested(changes, "0", When.IDLE)
        assert job is not None
        await asked.wait()
        cancelling = asyncio.ensure_future(changes.reloads.cancel(job, 0))
        await asyncio.sleep(0)
        go_on.set()
        try:
            await cancelling
        except Busy:
            assert await until_ended(job) is JobState.DONE
        else:
            assert changes.view.kernel.read_module(MODULE).parameters["nested"] == "Y"
        assert len(ends) == 1
        await stop(changes)

    asyncio.run(body())


def test_who_holds_an_inhibitor_sees_no_reload(tmp_path: Path) -> None:
    """This includes one requested while a reload was about to begin."""

    async def body() -> None:
        root = Root(tmp_path)
        asked, go_on = asyncio.Event(), asyncio.Event()

        @contextlib.asynccontextmanager
        async def slow_logind() -> AsyncIterator[None]:
            asked.set()
            await go_on.wait()
            yield

        changes = await start(root, SimulatedKernel(root, KINDS["intel"]), slow_logind)
        job = await set_nested(changes, "0", When.IDLE)
        assert job is not None
        await asked.wait()
        inhibitor = Inhibitor("a backup", "to see", 1000, 1)
        inhibiting = asyncio.ensure_future(changes.reloads.inhibit(inhibitor))
        await asyncio.sleep(0)
        go_on.set()
        guard = await inhibiting
        before = changes.view.kernel.read_module(MODULE).parameters["nested"]
        await asyncio.sleep(0.2)
        assert changes.view.kernel.read_module(MODULE).parameters["nested"] == before == "N"
        os.close(guard)
        await stop(changes)

    asyncio.run(body())


class Deviceless(SimulatedKernel):
    """/dev/kvm does not come back with its former permissions: there is no udev."""

    async def wait_for_device(self, timeout: float) -> bool:
        return False


def test_a_device_that_stays_away_is_no_reason_to_say_that_nothing_loads(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Deviceless(root, KINDS["intel"])
        changes = await start(root, kernel)
        with pytest.raises(RolledBack, match="/dev/kvm did not come back"):
            await set_nested(changes, "0", When.NOW)
        assert kernel.read_module(MODULE).parameters["nested"] == "Y"
        assert records(root) == []
        await stop(changes)

    asyncio.run(body())


class Exhausted(SimulatedKernel):
    """Loading fails once unexpectedly: asyncio could not start the thread that waits."""

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
        changes = await start(root, kernel)
        conf = root.at("/etc/modprobe.d/kvm.conf").read_bytes()
        with contextlib.suppress(RolledBack):
            job = await set_nested(changes, "0", when)
            assert job is not None
            assert await until_ended(job) is JobState.ROLLED_BACK
            assert "start new thread" not in job.error
        assert kernel.read_module(MODULE).parameters["nested"] == "Y"
        assert root.at("/etc/modprobe.d/kvm.conf").read_bytes() == conf
        assert records(root) == []
        await stop(changes)

    asyncio.run(body())


def test_a_reload_that_is_cut_off_keeps_its_record(tmp_path: Path) -> None:
    """As when the process exits without waiting for it."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = Slow(root)
        changes = await start(root, kernel)
        reloading = asyncio.ensure_future(set_nested(changes, "0", When.NOW))
        await kernel.unloaded.wait()
        reloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reloading
        changes.view.close()
        assert len(records(root)) == 1
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        assert changes.view.kernel.read_module(MODULE).parameters["nested"] == "N"
        assert records(root) == []
        await stop(changes)

    asyncio.run(body())


class Broken(SimulatedKernel):
    """A module that does not load with nested=0."""

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        await super().load(name, parameters, only_these=only_these)
        if self.read_module(name).parameters["nested"] == "N":
            await self.unload(name)
            raise LoadError("could not insert 'kvm_intel': Operation not supported")


def test_a_waiting_job_goes_back_to_what_ran_last(tmp_path: Path) -> None:
    """Not to what ran when the job was requested."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = Broken(root, KINDS["intel"])
        changes = await start(root, kernel)
        guard = await changes.reloads.inhibit(Inhibitor("a test", "to see", 0, 1))
        job = await set_nested(changes, "0", When.IDLE)
        assert job is not None
        await kernel.unload(MODULE)
        await kernel.load(MODULE, [("ple_gap", "64"), ("nested", "1")])
        assert kernel.read_module(MODULE).parameters["ple_gap"] == "64"
        os.close(guard)
        assert await until_ended(job) is JobState.ROLLED_BACK
        assert kernel.read_module(MODULE).parameters["ple_gap"] == "64"
        await stop(changes)

    asyncio.run(body())


def test_a_waiting_job_ends_when_others_decide_otherwise(tmp_path: Path) -> None:
    """It ends instead of a reload that cannot give the requested value, and a second one back."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = SimulatedKernel(root, KINDS["intel"])
        changes = await start(root, kernel)
        guard = await changes.reloads.inhibit(Inhibitor("a test", "to see", 0, 1))
        job = await set_nested(changes, "0", When.IDLE)
        assert job is not None
        loaded = root.at(f"/sys/module/{MODULE}/initstate").stat().st_mtime_ns
        root.at("/etc/modprobe.d/zz.conf").write_text("options kvm_intel nested=1\n")
        changes.view.config_changed()
        os.close(guard)
        assert await until_ended(job) is JobState.FAILED
        assert "nested=0" in job.error
        assert root.at(f"/sys/module/{MODULE}/initstate").stat().st_mtime_ns == loaded
        await stop(changes)

    asyncio.run(body())


def test_what_was_not_allowed_is_not_done(tmp_path: Path) -> None:
    """A reload needs its own authorization, not requested while the module was not loaded."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = SimulatedKernel(root, KINDS["intel"])
        changes = await start(root, kernel)
        await kernel.unload(MODULE)
        change = changes.prepare(MODULE, {"nested": "0"}, When.NOW)
        assert change.effect is Effect.NONE
        await kernel.load(MODULE)
        conf = root.at("/etc/modprobe.d/kvm.conf").read_bytes()
        with pytest.raises(NeedsMoreAuthorization):
            await changes.apply(change, 0)
        assert kernel.read_module(MODULE).parameters["nested"] == "Y"
        assert root.at("/etc/modprobe.d/kvm.conf").read_bytes() == conf
        await stop(changes)

    asyncio.run(body())


def test_a_plan_gets_stale_also_while_a_password_is_asked_for(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        asked = {"nested": "0"}
        token = (await changes.plan(MODULE, asked, When.BOOT)).token
        change = changes.prepare(MODULE, asked, When.BOOT, token)
        conf = root.at("/etc/modprobe.d/kvm.conf")
        conf.write_bytes(conf.read_bytes() + b"options kvm_intel ept=0\n")
        changes.view.config_changed()
        with pytest.raises(StalePlan):
            await changes.apply(change, 0)
        assert b"nested=0" not in conf.read_bytes()
        await stop(changes)

    asyncio.run(body())


def test_a_request_sees_what_those_before_it_have_done(tmp_path: Path) -> None:
    """Once nested=1 was requested, nested=0 no longer counts as running, though it still is."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = Slow(root)
        changes = await start(root, kernel)
        first = asyncio.ensure_future(set_nested(changes, "0", When.NOW))
        await kernel.unloaded.wait()
        second = asyncio.ensure_future(changes.request(MODULE, {"nested": "1"}, When.NOW))
        third = asyncio.ensure_future(changes.request_reload(MODULE))
        await asyncio.sleep(0)
        kernel.go_on.set()
        await first
        assert (await second).effect is Effect.RELOAD
        await third
        await stop(changes)

    asyncio.run(body())


async def waiting_record(root: Root, changes: Changes) -> Job:
    await changes.reloads.inhibit(Inhibitor("a test", "to see", 0, 1))
    job = await set_nested(changes, "0", When.IDLE)
    assert job is not None
    return job


def test_of_two_waiting_records_the_later_one_counts(tmp_path: Path) -> None:
    """nestd was killed after the second was recorded and before the first was deleted."""

    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        job = await waiting_record(root, changes)
        first = root.at(f"/run/nestd/transactions/{job.id}")
        record = first.read_bytes()
        await stop(changes)
        later = record.replace(b'"job": %d' % job.id, b'"job": %d' % (job.id + 1))
        first.with_name(str(job.id + 1)).write_bytes(later)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        assert [each.id for each in changes.reloads.jobs.current()] == [job.id + 1]
        assert records(root) == [str(job.id + 1)]
        await stop(changes)

    asyncio.run(body())


def test_a_job_gets_no_number_that_another_one_has(tmp_path: Path) -> None:
    """The counter may be lost: it was just being written, or /run was full."""

    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        job = await waiting_record(root, changes)
        await stop(changes)
        root.at("/run/nestd/last-job").write_text("")
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        assert changes.reloads.records.next_job() == job.id + 1
        await stop(changes)

    asyncio.run(body())


@pytest.mark.parametrize(
    "damage",
    [
        (b'"job": 1,', b'"job": 2,'),
        (b'"job": 1,', b'"job": Infinity,'),
        (b'"uid": 0', b'"uid": -1'),
        (b'"step": "waiting"', b'"step": "done"'),
        (b"/etc/modprobe.d/kvm.conf", b"/etc/shadow"),
        (b"/etc/modprobe.d/.kvm.conf.nestd-", b"/etc/.kvm.conf.nestd-"),
    ],
)
def test_a_record_that_means_something_else_is_set_aside(
    tmp_path: Path, damage: tuple[bytes, bytes]
) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        await waiting_record(root, changes)
        await stop(changes)
        path = root.at("/run/nestd/transactions/1")
        assert damage[0] in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(*damage))
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        assert changes.reloads.jobs.current() == ()
        assert records(root) == ["1.set-aside"]
        await stop(changes)

    asyncio.run(body())


def test_records_of_another_machine_are_not_acted_on(tmp_path: Path) -> None:
    """--root may name a tree that another user has made."""

    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        await waiting_record(root, changes)
        await stop(changes)
        path = root.at("/run/nestd/transactions/1")
        path.write_bytes(path.read_bytes().replace(b'"waiting"', b'"rolling-back"'))
        before, conf = records(root), root.at("/etc/modprobe.d/kvm.conf").read_bytes()
        view = HostView(root, FilesOnly(root), KMOD, "none")
        await view.start()
        await recover(Reloads(view, Records(root)))
        view.close()
        assert records(root) == before
        assert root.at("/etc/modprobe.d/kvm.conf").read_bytes() == conf

    asyncio.run(body())


def test_a_full_disk_does_not_keep_nestd_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        job = await waiting_record(root, changes)
        await stop(changes)
        path = root.at(f"/run/nestd/transactions/{job.id}")
        path.write_bytes(path.read_bytes().replace(b'"waiting"', b'"unloading"'))
        with monkeypatch.context() as patch:
            patch.setattr(Records, "write", full)
            changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        [again] = changes.reloads.jobs.current()
        assert await until_ended(again) is JobState.DONE
        await stop(changes)

    asyncio.run(body())


def test_a_read_only_disk_does_not_keep_nestd_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    async def body() -> None:
        root = Root(tmp_path)
        kernel = SimulatedKernel(root, KINDS["intel"])
        leftover = root.at("/etc/modprobe.d/.kvm.conf.nestd-left")
        leftover.touch()
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", read_only)
            changes = await start(root, kernel)
        assert leftover.exists()
        await stop(changes)

    asyncio.run(body())


def test_what_could_not_be_loaded_again_is_not_unloaded(tmp_path: Path) -> None:
    """The running kernel's package was removed, as in an upgrade."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = SimulatedKernel(root, KINDS["intel"])
        changes = await start(root, kernel)
        guard = await changes.reloads.inhibit(Inhibitor("a test", "to see", 0, 1))
        job = await set_nested(changes, "0", When.IDLE)
        assert job is not None
        shutil.rmtree(root.at(f"/lib/modules/{kernel.release}"))
        os.close(guard)
        assert await until_ended(job) is JobState.FAILED
        assert "could not be loaded again" in job.error
        with pytest.raises(Missing, match="could not be loaded again"):
            await set_nested(changes, "0", When.NOW)
        with pytest.raises(Missing, match="could not be loaded again"):
            changes.prepare_reload(MODULE)
        assert kernel.read_module(MODULE).loaded
        assert await set_nested(changes, "1", When.BOOT) is None
        await stop(changes)

    asyncio.run(body())


OTHER = """
import pathlib, sys
from nestd.host.state.records import Records
from nestd.host.root import Root
records = Records(Root(pathlib.Path(sys.argv[1])))
print(records.claim(), flush=True)
sys.stdin.read()
"""


def test_a_second_nestd_only_looks_on(tmp_path: Path) -> None:
    """It is on a private bus, beside the service, and does not touch the service's jobs."""

    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        await waiting_record(root, changes)
        await stop(changes)
        command = [sys.executable, "-c", OTHER, str(tmp_path)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"True\n"
            changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
            assert changes.reloads.jobs.current() == ()
            assert records(root) == ["1"]
            assert changes.view.snapshot().modules[MODULE].loaded
            with pytest.raises(NotSupported, match="Another nestd"):
                await set_nested(changes, "1", When.BOOT)
            with pytest.raises(NotSupported, match="Another nestd"):
                changes.prepare_reload(MODULE)
            await stop(changes)
            other.kill()
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        assert len(changes.reloads.jobs.current()) == 1
        await stop(changes)

    asyncio.run(body())


def test_a_job_waits_on_where_the_blockers_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        guard = await changes.reloads.inhibit(Inhibitor("a test", "to see", 0, 1))
        failed = asyncio.Event()

        async def fail(module: str) -> tuple[Blocker, ...]:
            failed.set()
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(changes.reloads.waiting, "_blockers", fail)
        job = await set_nested(changes, "0", When.IDLE)
        assert job is not None
        await failed.wait()
        os.close(guard)
        assert await until_ended(job) is JobState.DONE
        await stop(changes)

    asyncio.run(body())


def test_a_job_that_has_ended_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        changes = await start(root, SimulatedKernel(root, KINDS["intel"]))
        await changes.reloads.inhibit(Inhibitor("a test", "to see", 0, 1))
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slow(module: str) -> tuple[Blocker, ...]:
            asked.set()
            await go_on.wait()
            return changes.reloads.inhibitors.blockers()

        monkeypatch.setattr(changes.reloads.waiting, "_blockers", slow)
        job = await set_nested(changes, "0", When.IDLE)
        assert job is not None
        await asked.wait()
        await changes.reloads.cancel(job, 0)
        go_on.set()
        await asyncio.sleep(0.02)
        assert job.blockers == ()
        await stop(changes)

    asyncio.run(body())


def test_a_module_that_udev_loaded_after_a_crash_means_that_nothing_was_done(
    tmp_path: Path,
) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = SimulatedKernel(root, KINDS["intel"])
        conf = root.at("/etc/modprobe.d/kvm.conf")
        before = conf.read_bytes()
        transaction = Transaction(
            job=7,
            module=MODULE,
            uid=0,
            when=When.NOW,
            step=JobState.LOADING,
            members=(Member(MODULE, {}, kernel.read_module(MODULE).parameters),),
            replacement=editing.prepare(conf, b"new", before),
        )
        first = Records(root)
        first.write(7, transaction.encode(first.boot_id))
        changes = await start(root, kernel)
        job = changes.reloads.jobs.get(7)
        assert job is not None
        assert job.state is JobState.ROLLED_BACK
        assert conf.read_bytes() == before
        assert sorted(os.listdir(conf.parent)) == ["kvm.conf", "vhost.conf"]
        assert records(root) == []
        await stop(changes)

    asyncio.run(body())

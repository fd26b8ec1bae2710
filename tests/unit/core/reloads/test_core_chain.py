# SPDX-License-Identifier: LGPL-2.1-or-later
"""kvm with its vendor module: unloaded in reverse order of loading, all or nothing."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from nestd.core.changes.change import Effect
from nestd.core.changes.changes import Changes
from nestd.core.errors import Busy, NotSupported, RolledBack
from nestd.core.model import JobState, When
from nestd.core.modules.view import HostView
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.recovery import recover
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.kernel.interface import LoadError
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, MACHINES, SimulatedKernel
from nestd.host.state.records import Records

ONLY_AT_LOAD = {"enable_virt_at_load": "0"}


class Watched(SimulatedKernel):
    """Records unloads and loads; fails where it is told to."""

    def __init__(self, root: Root, kind: str = "intel") -> None:
        self.steps: list[str] = []
        self.fails = ""  # once
        super().__init__(root, KINDS[kind])
        self.steps.clear()

    async def unload(self, name: str) -> None:
        self._step(f"unload {name}", OSError(errno.EAGAIN, "in use", name))
        await super().unload(name)

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        self._step(f"load {name}", LoadError("it does not load"))
        await super().load(name, parameters, only_these=only_these)

    def _step(self, step: str, error: Exception) -> None:
        self.steps.append(step)
        if step == self.fails:
            self.fails = ""
            raise error


async def start(root: Root, kernel: SimulatedKernel) -> Changes:
    view = HostView(root, kernel, KMOD, "none")
    await view.start()
    reloads = Reloads(view, Records(root))
    await recover(reloads)
    return Changes(view, reloads)


def run(
    path: Path, test: Callable[[Changes, Watched], Awaitable[None]], kind: str = "intel"
) -> None:
    async def body() -> None:
        kernel = Watched(Root(path), kind)
        changes = await start(Root(path), kernel)
        try:
            await test(changes, kernel)
        finally:
            await changes.reloads.close()
            changes.view.close()
        assert list(Root(path).at("/run/nestd/transactions").glob("*")) == []

    asyncio.run(body())


async def set_kvm(changes: Changes, when: When) -> Job | None:
    return await changes.apply(changes.prepare("kvm", ONLY_AT_LOAD, when), 0)


async def until_ended(job: Job | None) -> JobState:
    assert job is not None
    for _ in range(500):
        if job.ended:
            return job.state
        await asyncio.sleep(0.01)
    raise AssertionError(f"job {job.id} is still {job.state.value}")


def running(kernel: SimulatedKernel) -> tuple[str, str]:
    kvm, vendor = (kernel.read_module(name).parameters for name in ("kvm", "kvm_intel"))
    return kvm.get("enable_virt_at_load", "out"), vendor.get("nested", "out")


CHAIN = ["unload kvm_intel", "unload kvm", "load kvm", "load kvm_intel"]


def test_the_vendors_module_goes_first_and_comes_back_last(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        kernel._root.at("/etc/modprobe.d/a.conf").write_text("options kvm_intel nested=0\n")
        plan = await changes.plan("kvm", ONLY_AT_LOAD, When.NOW)
        assert plan.steps[:2] == ("unload kvm_intel", "unload kvm")
        assert plan.steps[-3:-1] == ("load kvm with modprobe", "load kvm_intel with modprobe")
        assert plan.blockers == ()
        assert [each for each in plan.warnings if "nested" in each] == [
            "kvm_intel is reloaded with it and comes back with nested=0 instead of Y, as"
            " /etc/modprobe.d/a.conf:1 asks."
        ]
        job = await set_kvm(changes, When.NOW)
        assert await until_ended(job) is JobState.DONE
        assert kernel.steps == CHAIN
        assert running(kernel) == ("N", "N")

    run(tmp_path, test)


def test_a_reload_of_kvm_takes_its_vendors_module_along(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        assert await changes.reloads.blockers("kvm") == ()
        job = await changes.reload("kvm", When.NOW, 0)
        assert job.state is JobState.DONE
        assert kernel.steps == CHAIN

    run(tmp_path, test)


@pytest.mark.parametrize("step", ["unload kvm", "load kvm", "load kvm_intel"])
def test_each_step_that_fails_ends_as_it_was(tmp_path: Path, step: str) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        conf = kernel._root.at("/etc/modprobe.d/kvm.conf")
        before = conf.read_bytes()
        kernel.fails = step
        if step == "unload kvm":  # retried, as after momentary use
            assert await until_ended(await set_kvm(changes, When.NOW)) is JobState.DONE
            return
        with pytest.raises(RolledBack, match="it does not load"):
            await set_kvm(changes, When.NOW)
        assert running(kernel) == ("Y", "Y")
        assert conf.read_bytes() == before

    run(tmp_path, test)


def test_a_machine_refuses_the_whole_chain_at_once(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        kernel._root.at(f"{MACHINES}/web01").touch()
        kernel._show_machines()
        with pytest.raises(Busy, match="kvm is in use by machine web01"):
            await set_kvm(changes, When.NOW)
        assert running(kernel) == ("Y", "Y")
        assert kernel.steps == ["unload kvm_intel"], "one try, and no pause"

    run(tmp_path, test)


def test_one_job_waits_for_the_chain(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        machine = kernel._root.at(f"{MACHINES}/web01")
        machine.touch()
        kernel._show_machines()
        nested = changes.prepare("kvm_intel", {"nested": "0"}, When.IDLE)
        first = await changes.apply(nested, 0)
        second = await set_kvm(changes, When.IDLE)
        assert first is not None
        assert first.state is JobState.CANCELLED
        [job] = changes.reloads.jobs.current()
        assert job is second
        machine.unlink()
        assert await until_ended(job) is JobState.DONE
        assert running(kernel) == ("N", "N")

    run(tmp_path, test)


def test_a_later_request_for_the_vendors_module_joins_what_waits_for_kvm(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        machine = kernel._root.at(f"{MACHINES}/web01")
        machine.touch()
        kernel._show_machines()
        await set_kvm(changes, When.IDLE)
        nested = changes.prepare("kvm_intel", {"nested": "0"}, When.IDLE)
        job = await changes.apply(nested, 0)
        assert changes.reloads.jobs.current() == (job,)
        machine.unlink()
        assert await until_ended(job) is JobState.DONE
        assert running(kernel) == ("N", "N")

    run(tmp_path, test)


@pytest.mark.parametrize("gone", ["kvm_intel", "kvm"])
def test_a_start_after_a_kill_in_the_chain_finishes_it(tmp_path: Path, gone: str) -> None:
    """Killed with the vendor module unloaded, or both; the record shows only that."""

    async def body() -> None:
        root = Root(tmp_path)
        kernel = Watched(root)
        changes = await start(root, kernel)

        async def killed(name: str) -> None:
            await SimulatedKernel.unload(kernel, name)
            if name == gone:
                raise asyncio.CancelledError

        kernel.unload = killed  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await set_kvm(changes, When.NOW)
        changes.view.close()
        kernel = Watched(root)
        changes = await start(root, kernel)
        assert running(kernel) == ("N", "Y")
        assert list(root.at("/run/nestd/transactions").iterdir()) == []
        await changes.reloads.close()
        changes.view.close()

    asyncio.run(body())


@pytest.mark.parametrize("module", ["kvm", "kvm_intel"])
def test_kvm_is_taken_out_and_back_in(tmp_path: Path, module: str) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        job = await changes.loads.unload(module, When.NOW, 0)
        assert await until_ended(job) is JobState.DONE
        assert running(kernel) == ("out", "out")
        assert await changes.loads.unload(module, When.NOW, 0) is None
        await changes.loads.load(module, 0)
        assert running(kernel) == ("Y", "Y")
        assert changes.loads.prepare_load(module) == ()

    run(tmp_path, test)


def test_an_unload_waits_for_the_last_machine(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        machine = kernel._root.at(f"{MACHINES}/web01")
        machine.touch()
        kernel._show_machines()
        with pytest.raises(Busy):
            await changes.loads.unload("kvm", When.NOW, 0)
        assert running(kernel) == ("Y", "Y")
        job = await changes.loads.unload("kvm", When.IDLE, 0)
        machine.unlink()
        assert await until_ended(job) is JobState.DONE
        assert running(kernel) == ("out", "out")

    run(tmp_path, test)


def test_the_line_that_keeps_one_of_the_chain_out_is_named(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        kernel._root.at("/etc/modprobe.d/a.conf").write_text("#\ninstall kvm_intel /bin/true\n")
        with pytest.raises(RolledBack, match=r"a\.conf:2 runs a command .*kvm_intel"):
            await set_kvm(changes, When.NOW)
        assert running(kernel) == ("Y", "Y")

    run(tmp_path, test)


@pytest.mark.parametrize("name", ["kvm", "kvm_intel"])
def test_the_line_that_keeps_a_load_from_doing_anything_is_named(tmp_path: Path, name: str) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        await changes.loads.unload("kvm", When.NOW, 0)
        kernel._root.at("/etc/modprobe.d/a.conf").write_text(f"install {name} /bin/true\n")
        with pytest.raises(RolledBack, match=rf"a\.conf:1 runs a command .*{name}"):
            await changes.loads.load("kvm", 0)
        assert running(kernel) == ("out", "out")

    run(tmp_path, test)


def test_a_load_that_fails_leaves_nothing_loaded(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        await changes.loads.unload("kvm", When.NOW, 0)
        kernel.fails = "load kvm_intel"
        with pytest.raises(RolledBack, match="kvm was not loaded: it does not load"):
            await changes.loads.load("kvm", 0)
        assert running(kernel) == ("out", "out")

    run(tmp_path, test)


def every_parameter() -> list[tuple[str, str, str]]:
    return [
        (kind, module.name, parameter)
        for kind, host in KINDS.items()
        for module in host.modules.values()
        for parameter in module.parameters
    ]


@pytest.mark.parametrize(("kind", "module", "parameter"), every_parameter())
def test_no_advice_ends_in_waiting_for_ever(
    tmp_path: Path, kind: str, module: str, parameter: str
) -> None:
    """On an idle host each "when idle" change is made, and no blocker is reported."""

    async def test(changes: Changes, kernel: Watched) -> None:
        now = kernel.read_module(module).parameters.get(parameter, "0")
        is_off = now in ("0", "N")
        declared, _ = KINDS[kind].modules[module].parameters[parameter]
        is_number = declared in (ParameterType.UINT, ParameterType.BYTE)
        value = "7" if is_number else "1" if is_off else "0"
        plan = await changes.plan(module, {parameter: value}, When.IDLE)
        assert plan.blockers == ()
        change = changes.prepare(module, {parameter: value}, When.IDLE)
        job = await changes.apply(change, 0)
        if change.effect is Effect.RELOAD:
            assert (await until_ended(job), job.error) == (JobState.DONE, "")
        if kernel.read_module(module).loaded:
            shown = kernel.read_module(module).parameters[parameter]
            assert shown in (value, "Y" if value == "1" else "N")

    run(tmp_path, test, kind)


def test_what_only_a_boot_can_bring_is_not_waited_for(tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Watched) -> None:
        kernel._root.at("/proc/sys/kernel/modules_disabled").write_text("1\n")
        for work in (
            lambda: changes.prepare("kvm_intel", {"nested": "0"}, When.IDLE),
            lambda: changes.prepare_reload("kvm"),
            lambda: changes.loads.prepare_unload("kvm"),
        ):
            with pytest.raises(NotSupported, match="until the next boot"):
                work()

    run(tmp_path, test)

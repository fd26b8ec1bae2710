# SPDX-License-Identifier: LGPL-2.1-or-later
"""If modprobe cannot be run, nothing is unloaded, and the error is reported from the start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nestd.core.changes.changes import Changes
from nestd.core.errors import NotSupported
from nestd.core.model import JobState, When
from nestd.core.modules.view import HostView
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.recovery import recover
from nestd.host import program
from nestd.host.kernel import kmod
from nestd.host.kernel.interface import LoadError
from nestd.host.kernel.real import RealKernel
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

# The content of the file modprobe ("": no file), its mode, and the message about it.
CASES = {
    "not installed": ("", 0, "not installed"),
    "not to be executed": ("#!/bin/sh\n", 0o644, "Permission denied"),
    "no program": ("\x7fELF, cut off", 0o755, "Exec format error"),
    "an interpreter that is not there": ("#!/no/such/sh\n", 0o755, "not installed"),
    "fails": ("#!/bin/sh\necho no such thing >&2; exit 1\n", 0o755, "no such thing"),
    "is killed": ("#!/bin/sh\nkill -9 $$\n", 0o755, "exit status -9"),
    "hangs": ("#!/bin/sh\nsleep 60\n", 0o755, "did not end within 0.3 s"),
}


@pytest.fixture(params=CASES)
def said(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install modprobe as in one of the cases; returns the message about it."""
    text, mode, words = CASES[request.param]
    programs = tmp_path / "programs"
    programs.mkdir()
    if text:
        (programs / "modprobe").write_text(text)
        (programs / "modprobe").chmod(mode)
    path = f"{programs}:/usr/bin:/bin" if "sleep" in text else str(programs)
    monkeypatch.setitem(program.ENVIRONMENT, "PATH", path)
    monkeypatch.setattr(kmod, "QUERY_SECONDS", 0.3)
    return words


class Host(SimulatedKernel):
    """Tests a load as the real kernel class does."""

    def __init__(self, root: Root) -> None:
        super().__init__(root, KINDS["intel"])
        self.asked: list[str] = []
        self._real = RealKernel(root)

    async def check_load(self, name: str) -> None:
        await self._real.check_load(name)

    async def unload(self, name: str) -> None:
        self.asked.append(name)
        await super().unload(name)


def run(path: Path, test: Callable[[Changes, Host], Awaitable[None]]) -> None:
    async def body() -> None:
        root = Root(path / "host")
        kernel = Host(root)
        view = HostView(root, kernel, KMOD, "none")
        await view.start()
        reloads = Reloads(view, Records(root))
        await recover(reloads)
        try:
            await test(Changes(view, reloads), kernel)
            assert kernel.asked == []
            assert list(root.at("/run/nestd/transactions").glob("*")) == []
            assert list(root.at("/etc/modprobe.d").glob(".*")) == []
        finally:
            await reloads.close()
            view.close()

    asyncio.run(body())


def test_it_is_told_at_the_start(said: str) -> None:
    found = asyncio.run(kmod.find_kmod())
    assert said in found.problem
    assert found.version == kmod.OLDEST_SUPPORTED


def test_a_modprobe_that_works_is_no_problem() -> None:
    found = asyncio.run(kmod.find_kmod())
    assert found.problem == ""
    assert found.version >= kmod.OLDEST_SUPPORTED


def test_a_load_cannot_be_tried(said: str, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=said):
        asyncio.run(RealKernel(Root(tmp_path)).check_load("kvm_intel"))


def test_nothing_is_unloaded_or_written(said: str, tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Host) -> None:
        conf = changes.view.root.at("/etc/modprobe.d/kvm.conf")
        before = conf.read_bytes()
        change = await changes.request("kvm_intel", {"nested": "0"}, When.NOW)
        for work in (
            lambda: changes.apply(change, 0),
            lambda: changes.reload("kvm_intel", When.NOW, 0),
            lambda: changes.reload("kvm", When.NOW, 0),
            lambda: changes.loads.unload("kvm_intel", When.NOW, 0),
        ):
            with pytest.raises(NotSupported, match=f"stays as it is, .*{said}"):
                await work()
            assert conf.read_bytes() == before
            assert kernel.read_module("kvm_intel").parameters["nested"] == "Y"

    run(tmp_path, test)


def test_what_waits_ends_and_the_module_stays(said: str, tmp_path: Path) -> None:
    async def test(changes: Changes, kernel: Host) -> None:
        change = await changes.request("kvm_intel", {"nested": "0"}, When.IDLE)
        job = await changes.apply(change, 0)
        assert isinstance(job, Job)
        while not job.ended:
            await asyncio.sleep(0.01)
        assert job.state is JobState.FAILED
        assert said in job.error
        assert kernel.read_module("kvm_intel").parameters["nested"] == "Y"

    run(tmp_path, test)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random interleavings on a simulated host: clients, machines, other programs, editors, crashes.

After every step the invariants must hold: a running machine is never touched, kvm.conf is old or
new and no foreign line is lost, the module is loaded, and what nestd reports is true.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nestd.core.blocking.inhibitors import Inhibitor
from nestd.core.changes.changes import Changes
from nestd.core.errors import Busy, Conflict, Inhibited, Overridden
from nestd.core.model import JobState, When
from nestd.core.modules.view import HostView
from nestd.core.reloads import execution as reload
from nestd.core.reloads import queue as reloads
from nestd.core.reloads import waiting
from nestd.core.reloads.jobs import ENDS, Job
from nestd.core.reloads.recovery import recover
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, MACHINES, SimulatedKernel
from nestd.host.state.records import Records

MODULE = "kvm_intel"
FOREIGN = b"# of somebody else \xff\r\noptions kvm ignore_msrs=1\n"
EXAMPLES = int(os.environ.get("NESTD_MODEL_EXAMPLES", "25"))

# Timing is not tested here.
reload.UNLOAD_SECONDS = reloads.UNLOAD_SECONDS = 0.0
waiting.FIRST_PAUSE = waiting.LONGEST_PAUSE = 0.002


async def _inline(function: Callable[..., Any], *arguments: Any) -> Any:
    """Replaces asyncio.to_thread, so that a killed nestd does not continue in a thread."""
    return function(*arguments)


class Interleavings(RuleBasedStateMachine):
    """One host with one nestd, its clients and all other programs."""

    @initialize()
    def begin(self) -> None:
        self.to_thread, asyncio.to_thread = asyncio.to_thread, _inline  # type: ignore[assignment]
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory(prefix="nestd-model-")
        self.root = Root(Path(self.directory.name))
        self.outside = SimulatedKernel(self.root, KINDS["intel"])
        self.conf = self.root.at("/etc/modprobe.d/kvm.conf")
        self.other = self.root.at("/etc/modprobe.d/zz.conf")
        self.conf.write_bytes(FOREIGN)
        self.machines: dict[str, tuple[str, str]] = {}  # with the module's state when each started
        self.inhibitor: int | None = None
        self.waiting_id: int | None = None
        self.run(self.start())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    async def start(self) -> None:
        kernel = SimulatedKernel(self.root, KINDS["intel"])
        self.view = HostView(self.root, kernel, KMOD, "none")
        await self.view.start()
        self.reloads = reloads.Reloads(self.view, Records(self.root))
        await recover(self.reloads)
        self.changes = Changes(self.view, self.reloads)

    async def all_ended(self) -> None:
        """Wait until every job has ended; the end of each is reported."""
        told = asyncio.Event()
        self.reloads.jobs.on_end.append(lambda job: told.set())
        while self.reloads.jobs.current():
            told.clear()
            await told.wait()

    async def die(self) -> None:
        """Like SIGKILL: no part of nestd may do anything more, above all to its records."""
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    async def close_view(self) -> None:
        self.view.close()

    async def look_again(self) -> None:
        self.view.config_changed()

    def module_identity(self) -> tuple[str, str]:
        """Changes whenever the module is loaded again."""
        directory = self.root.at(f"/sys/module/{MODULE}")
        return str((directory / "initstate").stat().st_mtime_ns), (
            directory / "parameters/nested"
        ).read_text()

    # Actions of clients.

    @rule(enabled=st.booleans(), when=st.sampled_from(When))
    def set_nested(self, enabled: bool, when: When) -> None:
        before = (self.conf.read_bytes(), self.view.snapshot().modules[MODULE].nested)
        asked = {"nested": "1" if enabled else "0"}

        async def body() -> Job | None:
            change = self.changes.prepare(MODULE, asked, when)
            if change.nothing_to_do:
                return None
            return await self.changes.apply(change, uid=1000)

        try:
            job = self.run(body())
        except (Busy, Inhibited, Overridden, Conflict):
            assert self.conf.read_bytes() == before[0]
            return
        if when is When.NOW and not self.other.exists():
            running = self.view.snapshot().modules[MODULE]
            if running.loaded:
                assert running.nested.value == ("yes" if enabled else "no")
        if when is When.IDLE and job is not None and not job.ended:
            # Nothing prevented it from being done at once, or the host is just being checked again.
            assert job.state in (JobState.WAITING, JobState.VERIFYING)

    @rule()
    def cancel(self) -> None:
        for job in self.reloads.jobs.current():
            self.run(self.reloads.cancel(job, 0))
            assert job.state is JobState.CANCELLED

    @rule()
    @precondition(lambda self: self.inhibitor is None)
    def inhibit(self) -> None:
        async def body() -> int:
            return self.reloads.inhibitors.add(Inhibitor("a test", "to see", 1000, 1))

        self.inhibitor = self.run(body())

    @rule()
    @precondition(lambda self: self.inhibitor is not None)
    def allow(self) -> None:
        assert self.inhibitor is not None
        os.close(self.inhibitor)
        self.inhibitor = None

    # Actions of the host.

    @rule(name=st.sampled_from(["web01", "db01"]))
    def start_machine(self, name: str) -> None:
        if self.root.at(f"/sys/module/{MODULE}").is_dir() and name not in self.machines:
            self.root.at(f"{MACHINES}/{name}").touch()
            self.outside._show_machines()
            self.machines[name] = self.module_identity()

    @rule(name=st.sampled_from(["web01", "db01"]))
    def end_machine(self, name: str) -> None:
        if self.machines.pop(name, None) is not None:
            self.root.at(f"{MACHINES}/{name}").unlink()
            self.outside._show_machines()

    @rule(value=st.sampled_from(["0", "1"]))
    def somebody_reloads(self, value: str) -> None:
        if not self.machines:
            self.run(self.outside.unload(MODULE)) if self.outside.read_module(MODULE).loaded else 0
            self.run(self.outside.load(MODULE, [("nested", value)], only_these=True))

    @rule(
        line=st.sampled_from([b"", b"options kvm_intel nested=0\n", b"options kvm_intel ept=z\n"])
    )
    def somebody_writes_another_file(self, line: bytes) -> None:
        if line:
            self.other.write_bytes(line)
        else:
            self.other.unlink(missing_ok=True)

    @rule()
    def somebody_edits_kvm_conf(self) -> None:
        self.conf.write_bytes(self.conf.read_bytes() + b"# one more\n")

    @rule()
    def time_passes(self) -> None:
        self.run(asyncio.sleep(0.03))

    # Faults of nestd.

    @rule(politely=st.booleans())
    def restart(self, politely: bool) -> None:
        waited = {job.id for job in self.reloads.jobs.current()}
        if politely:
            self.run(self.reloads.close())
            self.inhibitor = None
        else:
            self.run(self.die())
        self.run(self.close_view())
        self.run(self.start())
        now = {job.id for job in self.reloads.jobs.current()}
        assert now <= waited
        for job_id in waited - now:  # ended at the start, or none waits
            job = self.reloads.jobs.get(job_id)
            assert job is None or job.state in ENDS

    # The invariants.

    @invariant()
    def machines_run_on(self) -> None:
        for began in getattr(self, "machines", {}).values():
            assert self.module_identity() == began

    @invariant()
    def kvm_is_there(self) -> None:
        if hasattr(self, "outside"):
            assert self.outside.read_module(MODULE).loaded

    @invariant()
    def nothing_foreign_is_lost(self) -> None:
        if hasattr(self, "conf"):
            lines = self.conf.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not line.startswith((b"options kvm_intel", b"# one"))]
            assert b"".join(kept) == FOREIGN

    @invariant()
    def what_is_said_is_what_runs(self) -> None:
        if hasattr(self, "view"):
            self.run(asyncio.sleep(0))
            said = self.view.snapshot().modules[MODULE].nested.value
            assert said == {"Y": "yes", "N": "no"}[self.module_identity()[1].strip()]

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        # Every waiting change must end once nothing blocks it.
        for name in list(self.machines):
            self.end_machine(name)
        if self.inhibitor is not None:
            os.close(self.inhibitor)
        self.other.unlink(missing_ok=True)
        self.run(self.look_again())
        self.run(self.all_ended())
        self.run(self.reloads.close())
        self.run(self.close_view())
        self.loop.close()
        asyncio.to_thread = self.to_thread
        self.directory.cleanup()


Interleavings.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class TestInterleavings(Interleavings.TestCase):  # type: ignore[misc]
    """The state machine as pytest collects it."""

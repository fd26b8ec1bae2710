# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drift on simulated hosts: reported once per cause, corrected if that is configured."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nestd.core.changes.change import Change
from nestd.core.changes.changes import Changes
from nestd.core.drift.drift import OnDrift
from nestd.core.drift.watch import MOST_CAUSES, DriftWatch
from nestd.core.errors import RolledBack
from nestd.core.model import JobState, When
from nestd.core.modules.view import HostView
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.queue import Reloads
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

GRACE = 0.03
PATIENCE = 10.0
INTEL = "kvm_intel"
NUMBERS = itertools.count(1000)


class Lines(logging.Handler):
    """The lines that DriftWatch logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logger = logging.getLogger("nestd.core.drift.watch")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class Host:
    """A simulated host with nestd's core running on it, and another program that changes it."""

    def __init__(self, root: Root, kind: str, changes: Changes, watch: DriftWatch) -> None:
        self.root = root
        self.changes = changes
        self.watch = watch
        self.other = SimulatedKernel(root, KINDS[kind])
        self.conf = root.at("/etc/modprobe.d/kvm.conf")
        self.reloads = 0
        changes.reloads.jobs.on_end.append(self._count)

    def _count(self, job: object) -> None:
        self.reloads += 1

    def runs(self, module: str, parameter: str = "nested") -> str:
        return self.changes.view.kernel.read_module(module).parameters.get(parameter, "not loaded")

    async def modprobe(self, module: str, **parameters: str) -> None:
        """What a manual `modprobe -r MODULE; modprobe MODULE PARAMETERS` does."""
        await self.other.unload(module)
        await self.other.load(module, list(parameters.items()))

    async def set(self, module: str, when: When, **parameters: str) -> None:
        change = self.changes.prepare(module, parameters, when)
        await self.changes.apply(change, 1000)

    def write(self, name: str, text: str) -> None:
        (self.conf.parent / name).write_text(text)

    def start_machine(self, name: str) -> None:
        self.root.at(f"/simulated/machines/{name}").touch()

    def end_machine(self, name: str) -> None:
        self.root.at(f"/simulated/machines/{name}").unlink()


@asynccontextmanager
async def host(directory: Path, policy: OnDrift, kind: str = "intel") -> AsyncIterator[Host]:
    root = Root(directory)
    view = HostView(root, SimulatedKernel(root, KINDS[kind]), KMOD, "none")
    await view.start()
    reloads = Reloads(view, Records(root))
    changes = Changes(view, reloads)
    watch = DriftWatch(changes, policy, GRACE)
    watch.start()
    try:
        yield Host(root, kind, changes, watch)
    finally:
        await watch.close()
        await reloads.close()
        view.close()


def run(
    directory: Path,
    policy: OnDrift,
    test: Callable[[Host], Awaitable[None]],
    kind: str = "intel",
) -> None:
    async def body() -> None:
        async with host(directory, policy, kind) as simulated:
            await test(simulated)

    asyncio.run(body())


async def until(so: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not so():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), PATIENCE)


async def told(lines: Lines, count: int) -> None:
    await until(lambda: len(lines.texts) >= count)


async def settled(host: Host, lines: Lines) -> None:
    """Wait for a later drift of another module: any earlier one is reported by then."""
    before = len(lines.texts)
    host.write("zz-other.conf", f"options kvm halt_poll_ns={next(NUMBERS)}\n")
    await told(lines, before + 1)
    assert lines.texts[-1].startswith("kvm runs with halt_poll_ns=")
    del lines.texts[-1]


def test_another_value_by_hand_is_reported_once(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="1")
        await host.modprobe(INTEL, nested="0")
        await told(lines, 1)
        await host.modprobe(INTEL)
        await host.modprobe(INTEL, nested="0")
        await settled(host, lines)
        assert lines.texts == [
            "kvm_intel runs with nested=N instead of nested=1, which /etc/modprobe.d/kvm.conf:13"
            " asks for; nothing is done about it (on_drift = report)"
        ]
        assert host.runs(INTEL) == "N"

    run(tmp_path, OnDrift.REPORT, test)


def test_another_value_by_hand_is_put_right_once(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="1")
        await host.modprobe(INTEL, nested="0")
        await until(lambda: host.runs(INTEL) == "Y")
        assert "as soon as nothing uses it" in lines.texts[0]
        # The other program insists, and wins.
        await host.modprobe(INTEL, nested="0")
        await settled(host, lines)
        assert (len(lines.texts), host.reloads, host.runs(INTEL)) == (1, 1, "N")

    run(tmp_path, OnDrift.REAPPLY, test)


def test_it_waits_until_the_machines_have_gone(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="1")
        await host.modprobe(INTEL, nested="0")
        host.start_machine("web01")
        await until(lambda: host.changes.reloads.jobs.current() != ())
        [job] = host.changes.reloads.jobs.current()
        assert (job.uid, job.state) == (0, JobState.WAITING)
        assert host.runs(INTEL) == "N"
        host.end_machine("web01")
        await until(lambda: job.ended)
        assert (job.state, host.runs(INTEL)) == (JobState.DONE, "Y")

    run(tmp_path, OnDrift.REAPPLY, test)


@pytest.mark.parametrize("policy", OnDrift)
def test_what_nestd_was_asked_for_is_no_drift(
    tmp_path: Path, lines: Lines, policy: OnDrift
) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.BOOT, nested="0")
        await settled(host, lines)
        host.start_machine("web01")
        await host.set(INTEL, When.IDLE, nested="0", ept="0")
        await settled(host, lines)
        [job] = host.changes.reloads.jobs.current()
        await host.changes.reloads.cancel(job, 0)
        await settled(host, lines)
        assert lines.texts == []
        assert host.runs(INTEL) == "Y"

    run(tmp_path, policy, test)


def test_a_reload_that_fails_is_no_drift(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        host.write("a.conf", "install kvm_intel /bin/true\n")
        with pytest.raises(RolledBack):
            await host.set(INTEL, When.NOW, nested="0")
        await settled(host, lines)
        assert lines.texts == []

    run(tmp_path, OnDrift.REAPPLY, test)


def test_a_reload_that_cannot_succeed_is_tried_once(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="1")
        await host.other.unload(INTEL)
        await host.other.load(INTEL, [("nested", "0")])
        host.write("a.conf", "install kvm_intel /bin/true\n")
        await until(lambda: host.reloads == 1)
        await settled(host, lines)
        assert (host.reloads, len(lines.texts), host.runs(INTEL)) == (1, 1, "N")

    run(tmp_path, OnDrift.REAPPLY, test)


def test_a_restart_is_no_new_occasion_but_a_boot_is(tmp_path: Path, lines: Lines) -> None:
    async def begin(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="1")
        await host.modprobe(INTEL, nested="0")
        await told(lines, 1)
        await host.set("kvm", When.BOOT, ignore_msrs="1")
        await settled(host, lines)

    async def again(host: Host) -> None:
        await settled(host, lines)
        assert len(lines.texts) == 1

    async def after_boot(host: Host) -> None:
        await told(lines, 3)
        assert sorted(text.split()[0] for text in lines.texts[1:]) == ["kvm", "kvm_intel"]

    run(tmp_path, OnDrift.REPORT, begin)
    run(tmp_path, OnDrift.REPORT, again)
    Root(tmp_path).at("/run/nestd/drift.json").unlink()
    run(tmp_path, OnDrift.REPORT, after_boot)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"kvm_intel": 7}', '{"kvm_intel": {"x": []}}'])
def test_a_damaged_memory_does_no_harm(tmp_path: Path, lines: Lines, text: str) -> None:
    for name in ("/run/nestd/drift.json", "/var/lib/nestd/kvm.conf.json"):
        Root(tmp_path).at(name).parent.mkdir(parents=True)
        Root(tmp_path).at(name).write_text(text)

    async def test(host: Host) -> None:
        await host.modprobe(INTEL, nested="0")
        host.write("zz.conf", "options kvm_intel nested=1\n")
        await told(lines, 1)

    run(tmp_path, OnDrift.REPORT, test)


def test_a_change_of_policy_puts_right_what_was_only_reported(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="1")
        await host.modprobe(INTEL, nested="0")
        await told(lines, 1)
        host.watch.set_policy(OnDrift.REAPPLY)
        await until(lambda: host.runs(INTEL) == "Y")
        assert len(lines.texts) == 2

    run(tmp_path, OnDrift.REPORT, test)


def test_a_new_request_makes_a_new_occasion(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="1")
        for count in (1, 2):
            await host.modprobe(INTEL, nested="0")
            await told(lines, count)
            await host.changes.reload(INTEL, When.NOW, 1000)
            assert host.runs(INTEL) == "Y"

    run(tmp_path, OnDrift.REPORT, test)


def test_an_edit_by_hand_is_taken_up(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        host.conf.write_text("options kvm_intel nested=0\n")
        await until(lambda: host.runs(INTEL) == "N")
        assert host.conf.read_text() == "options kvm_intel nested=0\n"

    run(tmp_path, OnDrift.REAPPLY, test)


def test_what_another_file_decides_is_left_to_people(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="1")
        host.write("zz.conf", "options kvm_intel nested=0\n")
        await told(lines, 1)
        await settled(host, lines)
        assert lines.texts == [
            "kvm_intel runs with nested=Y instead of nested=0, which /etc/modprobe.d/zz.conf:1 asks"
            " for; nothing is done about it: /etc/modprobe.d/zz.conf:1 overrides"
            " /etc/modprobe.d/kvm.conf for nested"
        ]
        assert host.runs(INTEL) == "Y"

    run(tmp_path, OnDrift.REAPPLY, test)


def test_a_module_that_another_one_uses_is_not_waited_for(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        host.write("zz.conf", "options kvm enable_virt_at_load=0\n")
        await told(lines, 1)
        assert lines.texts[0].endswith("nothing is done about it: kvm_intel uses it")
        assert host.changes.reloads.jobs.current() == ()

    run(tmp_path, OnDrift.REAPPLY, test)


def test_a_configuration_that_would_not_load_is_left_to_people(
    tmp_path: Path, lines: Lines
) -> None:
    async def test(host: Host) -> None:
        host.write("zz.conf", "options kvm_intel nested=0 ept=maybe\n")
        await told(lines, 1)
        assert "zz.conf:1 sets ept=maybe" in lines.texts[0]
        assert host.runs(INTEL) == "Y"

    run(tmp_path, OnDrift.REAPPLY, test)


def test_writable_parameters_are_set_in_place(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set("kvm_hv", When.NOW, nested="1")
        host.start_machine("aix")
        host.other.write_parameter("kvm_hv", "nested", "0")
        host.changes.view.config_changed()  # sysfs sends no events
        await until(lambda: host.runs("kvm_hv") == "Y")
        assert host.reloads == 0
        assert lines.texts[0].endswith("; it is corrected in the running module")

    run(tmp_path, OnDrift.REAPPLY, test, "power")


def test_ever_new_values_are_not_fought_for_ever(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set("kvm", When.NOW, halt_poll_ns="1")
        for number in range(MOST_CAUSES + 3):
            host.other.write_parameter("kvm", "halt_poll_ns", str(100 + number))
            host.changes.view.config_changed()
            if number < MOST_CAUSES:
                await told(lines, number + 1)
        host.write("zz-other.conf", "options kvm_intel ept=0\n")
        await until(lambda: lines.texts[-1].startswith("kvm_intel"))
        assert len(lines.texts) == MOST_CAUSES + 1

    run(tmp_path, OnDrift.REPORT, test)


@pytest.mark.parametrize("suffix", ["rpmsave", "dpkg-bak"])
@pytest.mark.parametrize("stock", [None, b"# the package's own\n"])
def test_kvm_conf_moved_away_by_a_package_is_written_again(
    tmp_path: Path, lines: Lines, suffix: str, stock: bytes | None
) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="0", ept="0")
        await settled(host, lines)
        host.conf.rename(host.conf.with_name(f"kvm.conf.{suffix}"))
        if stock is not None:
            host.conf.write_bytes(stock)
        await told(lines, 1)
        await until(lambda: host.conf.exists() and b"nested=0" in host.conf.read_bytes())
        assert lines.texts == [
            f"/etc/modprobe.d/kvm.conf was moved to kvm.conf.{suffix}, and ept=0, nested=0 for"
            " kvm_intel with it; it is written to kvm.conf again"
        ]
        lines_of_ours = b"options kvm_intel nested=0\noptions kvm_intel ept=0\n"
        assert host.conf.read_bytes() == (stock or b"") + lines_of_ours
        # Once: nestd does not fight a program that reverts it.
        host.conf.rename(host.conf.with_name(f"kvm.conf.{suffix}"))
        await settled(host, lines)
        assert not host.conf.exists()

    run(tmp_path, OnDrift.REAPPLY, test)


def test_what_has_more_to_be_done_to_it_meanwhile_is_put_right_all_the_same(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="0")
        await settled(host, lines)
        apply = host.changes.apply
        reloaded = []

        async def apply_after_a_reload(change: Change, uid: int) -> Job | None:
            if not reloaded:
                reloaded.append(await host.modprobe(INTEL, nested="1"))
            return await apply(change, uid)

        monkeypatch.setattr(host.changes, "apply", apply_after_a_reload)
        host.conf.rename(host.conf.with_name("kvm.conf.rpmsave"))
        await until(lambda: host.conf.exists() and b"nested=0" in host.conf.read_bytes())
        await until(lambda: host.changes.view.kernel.read_module(INTEL).loaded)
        await until(lambda: host.runs(INTEL) == "N")

    run(tmp_path, OnDrift.REAPPLY, test)


def test_kvm_conf_moved_away_while_nestd_was_not_there(tmp_path: Path, lines: Lines) -> None:
    conf = Root(tmp_path).at("/etc/modprobe.d/kvm.conf")

    async def before(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="0")
        await settled(host, lines)

    async def after(host: Host) -> None:
        await told(lines, 1)
        assert "was moved to kvm.conf.rpmsave" in lines.texts[0]
        await settled(host, lines)
        assert not host.conf.exists()

    run(tmp_path, OnDrift.REPORT, before)
    conf.rename(conf.with_name("kvm.conf.rpmsave"))
    run(tmp_path, OnDrift.REPORT, after)


def test_people_may_edit_and_remove_kvm_conf(tmp_path: Path, lines: Lines) -> None:
    async def test(host: Host) -> None:
        await host.set(INTEL, When.NOW, nested="0")
        await settled(host, lines)
        host.conf.with_name("kvm.conf.rpmsave").write_bytes(host.conf.read_bytes())  # a copy
        host.conf.write_text("# nothing any more\n")
        await settled(host, lines)
        await host.set(INTEL, When.BOOT, nested="0")
        await settled(host, lines)
        host.conf.unlink()
        await settled(host, lines)
        assert lines.texts == []
        assert not host.conf.exists()

    run(tmp_path, OnDrift.REAPPLY, test)


def test_what_is_remembered_of_kvm_conf(tmp_path: Path, lines: Lines) -> None:
    run(tmp_path, OnDrift.REPORT, lambda host: settled(host, lines))
    memory = json.loads(Root(tmp_path).at("/var/lib/nestd/kvm.conf.json").read_text())
    status = Root(tmp_path).at("/etc/modprobe.d/kvm.conf").stat()
    assert memory == {"inode": status.st_ino, "changed": status.st_mtime_ns}

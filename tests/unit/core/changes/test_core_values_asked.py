# SPDX-License-Identifier: LGPL-2.1-or-later
"""How modules interpret values: missing hardware features, defaults, words, int for nested."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from nestd.core.changes.changes import Changes
from nestd.core.errors import Busy, Conflict, Missing, RolledBack
from nestd.core.model import Answer, JobState, ModuleState, When
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS, SimulatedModule
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

Test = Callable[[Changes, Root], Awaitable[None]]
CONF = "/etc/modprobe.d/kvm.conf"


class OldHardware(SimulatedKernel):
    """A processor without shadow VMCS: kvm_intel switches it off when it is loaded."""

    def _appear(self, module: SimulatedModule, values: Mapping[str, str]) -> None:
        super()._appear(module, {**values, **dict.fromkeys(values.keys() & {"ept"}, "N")})


def run(
    path: Path,
    kind: str,
    test: Test,
    conf: str = "",
    kernel_type: Callable[..., SimulatedKernel] = SimulatedKernel,
) -> None:
    async def body() -> None:
        root = Root(path)
        kernel = kernel_type(root, KINDS[kind])
        if conf:
            root.at(CONF).write_text(conf)
        view = HostView(root, kernel, KMOD, "none")
        await view.start()
        changes = Changes(view, Reloads(view, Records(root)))
        await test(changes, root)
        await changes.reloads.close()
        view.close()

    asyncio.run(body())


async def change(changes: Changes, module: str, when: When, **parameters: str) -> None:
    await changes.apply(await changes.request(module, parameters, when), 0)


def test_a_reload_bears_what_the_hardware_lacks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(changes: Changes, root: Root) -> None:
        with caplog.at_level(logging.WARNING):
            job = await changes.reload("kvm_intel", When.NOW, 0)
        assert job.state is JobState.DONE
        assert "kvm_intel runs with other values than configured for ept" in caplog.text
        await change(changes, "kvm_intel", When.NOW, nested="0")
        module = changes.view.snapshot().modules["kvm_intel"]
        assert module.nested is Answer.NO
        with pytest.raises(RolledBack, match="ept=N, not as it was asked"):
            await change(changes, "kvm_intel", When.NOW, ept="1", nested="1")

    run(tmp_path, "intel", test, "options kvm_intel nested=1 ept=1\n", OldHardware)


def test_a_module_that_is_just_being_loaded_is_awaited(tmp_path: Path) -> None:
    async def test(changes: Changes, root: Root) -> None:
        state = root.at("/sys/module/kvm_intel/initstate")
        state.write_text("coming\n")
        asyncio.get_running_loop().call_later(0.2, state.write_text, "live\n")
        await change(changes, "kvm_intel", When.NOW, nested="0")
        assert changes.view.snapshot().modules["kvm_intel"].nested is Answer.NO

    run(tmp_path, "intel", test)


def test_a_module_that_does_not_come_to_rest_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(changes: Changes, root: Root) -> None:
        root.at("/sys/module/kvm_intel/initstate").write_text("going\n")
        before = root.at(CONF).read_bytes()
        for asked in (
            changes.request("kvm_intel", {"nested": "0"}, When.NOW),
            changes.request_reload("kvm_intel"),
        ):
            with pytest.raises(Busy, match="being loaded or unloaded by somebody else"):
                await asked
        assert root.at(CONF).read_bytes() == before

    monkeypatch.setattr("nestd.core.changes.changes.SETTLE_SECONDS", 0.1)
    run(tmp_path, "intel", test)


def test_nested_and_huge_pages_on_s390_are_a_configuration_error(tmp_path: Path) -> None:
    async def test(changes: Changes, root: Root) -> None:
        module = changes.view.snapshot().modules["kvm"]
        assert module.state is ModuleState.CONFIG_ERROR
        assert module.nested_next is Answer.INVALID
        with pytest.raises(Conflict, match="exclude each other"):
            await changes.reload("kvm", When.NOW, 0)
        assert changes.view.kernel.read_module("kvm").loaded
        await change(changes, "kvm", When.NOW, hpage="0")
        await changes.reload("kvm", When.NOW, 0)
        module = changes.view.snapshot().modules["kvm"]
        assert (module.state, module.nested) == (ModuleState.IN_SYNC, Answer.YES)

    run(tmp_path, "s390", test, "options kvm nested=1 hpage=1\n")


def test_a_processor_without_kvm_changes_nothing(tmp_path: Path) -> None:
    async def test(changes: Changes, root: Root) -> None:
        before = root.at(CONF).read_bytes()
        root.at("/proc/cpuinfo").write_text("flags\t\t: fpu vme\n")
        for module in ("kvm_intel", "kvm"):
            await changes.view.kernel.unload(module)
        later = HostView(root, changes.view.kernel, KMOD, "none")
        other = Changes(later, changes.reloads)
        assert later.snapshot().modules["kvm_intel"].nested is Answer.UNKNOWN
        for when in When:
            with pytest.raises(Missing, match="no KVM"):
                other.prepare("kvm_intel", {"nested": "0"}, when)
        assert root.at(CONF).read_bytes() == before

    run(tmp_path, "intel", test)


@pytest.mark.parametrize("value", ["2", "0x1", "-1", "+1", "01", "1"])
def test_nested_is_written_as_1_also_where_it_is_an_int(tmp_path: Path, value: str) -> None:
    async def test(changes: Changes, root: Root) -> None:
        await change(changes, "kvm_amd", When.NOW, nested="0")
        assert root.at(CONF).read_text().endswith("options kvm_amd nested=0\n")
        await change(changes, "kvm_amd", When.NOW, nested=value)
        assert root.at(CONF).read_text().endswith("options kvm_amd nested=1\n")
        assert changes.view.snapshot().modules["kvm_amd"].state is ModuleState.IN_SYNC

    run(tmp_path, "amd", test)


def test_any_number_but_zero_is_on(tmp_path: Path) -> None:
    async def test(changes: Changes, root: Root) -> None:
        assert changes.view.snapshot().modules["kvm_amd"].state is ModuleState.IN_SYNC

    run(tmp_path, "amd", test, "options kvm_amd nested=2\n")


def test_without_an_assignment_the_next_load_brings_the_default(tmp_path: Path) -> None:
    async def test(changes: Changes, root: Root) -> None:
        await change(changes, "kvm_intel", When.NOW, nested="0")
        await change(changes, "kvm_intel", When.BOOT, nested="")
        module = changes.view.snapshot().modules["kvm_intel"]
        assert (module.nested, module.nested_next) == (Answer.NO, Answer.DEFAULT)
        assert module.state is ModuleState.RELOAD_PENDING
        await changes.reload("kvm_intel", When.NOW, 0)
        module = changes.view.snapshot().modules["kvm_intel"]
        assert (module.nested, module.state) == (Answer.YES, ModuleState.IN_SYNC)

    run(tmp_path, "intel", test)


def test_on_power_the_default_comes_back_without_a_reload(tmp_path: Path) -> None:
    async def test(changes: Changes, root: Root) -> None:
        await change(changes, "kvm_hv", When.NOW, nested="0")
        root.at("/simulated/machines/vm1").touch()
        original = root.at(CONF).read_bytes()
        asked = await changes.request("kvm_hv", {"nested": ""}, When.NOW)
        assert await changes.apply(asked, 0) is None
        module = changes.view.snapshot().modules["kvm_hv"]
        assert (module.nested, module.nested_configured) == (Answer.YES, Answer.UNSET)
        assert b"\noptions kvm_hv" not in root.at(CONF).read_bytes() != original

    run(tmp_path, "power", test)

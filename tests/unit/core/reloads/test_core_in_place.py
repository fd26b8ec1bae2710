# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values written to a loaded module."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from nestd.core.errors import RolledBack
from nestd.core.modules.view import HostView
from nestd.core.reloads import direct
from nestd.core.reloads.execution import Execution
from nestd.core.reloads.in_place import set_in_place
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.recovery import recover
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.editing import replacement as editing
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records


async def _killed(self: Execution, transaction: object) -> None:
    """Replaces the last step."""


def test_a_module_that_has_gone_meanwhile_leaves_nothing_behind(tmp_path: Path) -> None:
    root = Root(tmp_path)
    kernel = SimulatedKernel(root, KINDS["power"])
    conf = root.at("/etc/modprobe.d/kvm.conf")
    old = conf.read_bytes()
    before = os.listdir(conf.parent)
    replacement = editing.prepare(conf, old + b"options kvm_hv nested=0\n", old)
    asyncio.run(kernel.unload("kvm_hv"))
    types = {"nested": ParameterType.BOOL}
    with pytest.raises(RolledBack, match="kvm_hv refuses the value"):
        set_in_place(kernel, "kvm_hv", {"nested": "0"}, types, replacement)
    assert conf.read_bytes() == old
    assert sorted(os.listdir(conf.parent)) == sorted(before)


def test_after_a_crash_only_what_nestd_wrote_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Root(tmp_path)

    async def body() -> None:
        view = HostView(root, SimulatedKernel(root, KINDS["power"]), KMOD, "none")
        await view.start()
        reloads = Reloads(view, Records(root))
        with monkeypatch.context() as crash:
            crash.setattr(Execution, "finish", _killed)
            await direct.set_in_place(reloads, view.facts(), "kvm_hv", {"nested": "0"}, None, 0)
        view.kernel.write_parameter("kvm_hv", "one_vm_per_core", "1")
        await recover(reloads)
        after = view.kernel.read_module("kvm_hv").parameters
        assert (after["nested"], after["one_vm_per_core"]) == ("Y", "Y")
        assert reloads.records.read_all() == {}
        await reloads.close()
        view.close()

    asyncio.run(body())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""When nestd knows the types of a module's parameters."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from nestd.core.changes.changes import Changes
from nestd.core.errors import InvalidParameter
from nestd.core.model import When
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.kernel import kmod
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records


class InstalledLater(SimulatedKernel):
    """The modules' files are installed after nestd's start."""

    installed = False
    asked = 0

    async def parameter_types(self, name: str) -> Mapping[str, ParameterType]:
        self.asked += 1
        return await super().parameter_types(name) if self.installed else {}


@pytest.mark.parametrize("way", ["request", "plan"])
def test_types_of_modules_that_are_installed_later(tmp_path: Path, way: str) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = InstalledLater(root, KINDS["intel"])
        view = HostView(root, kernel, KMOD, "none")
        await view.start()
        changes = Changes(view, Reloads(view, Records(root)))
        ask = changes.request if way == "request" else changes.plan
        await ask("kvm_intel", {"ept": "5"}, When.BOOT)  # it is unknown that it takes none
        kernel.installed = True
        with pytest.raises(InvalidParameter, match="declared as bool"):
            await ask("kvm_intel", {"ept": "5"}, When.BOOT)
        asked = kernel.asked
        await ask("kvm_intel", {"ept": "0"}, When.BOOT)
        assert kernel.asked == asked, "what is known is not asked for again"
        await changes.reloads.close()
        view.close()

    asyncio.run(body())


@pytest.mark.parametrize("name", ["modules.dep.bin", "modules.softdep"])
def test_a_fifo_among_depmods_lists_is_not_waited_for(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "lib/modules/6.1.0"
    directory.mkdir(parents=True)
    os.mkfifo(directory / name)
    began = time.monotonic()
    assert asyncio.run(kmod.parameter_types(tmp_path, "6.1.0", "kvm_intel")) == {}
    assert time.monotonic() - began < kmod.QUERY_SECONDS / 2

# SPDX-License-Identifier: LGPL-2.1-or-later
"""When modinfo is run for parameter types: once, and again only for new modules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from nestd.core.modules.view import HostView
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel


class Asked(SimulatedKernel):
    """Counts the calls."""

    def __init__(self, root: Root) -> None:
        super().__init__(root, KINDS["intel"])
        self.modules: list[str] = []

    async def parameter_types(self, name: str) -> Mapping[str, ParameterType]:
        self.modules.append(name)
        return await super().parameter_types(name)


def test_a_module_that_is_missing_is_asked_about_when_it_comes(tmp_path: Path) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Asked(root)
        view = HostView(root, kernel, KMOD, "none")
        lists = root.at(f"/lib/modules/{kernel.release}/modules.dep")
        whole = lists.read_text()
        lists.write_text("".join(line for line in whole.splitlines(True) if "kvm-amd" not in line))
        await view.read_types()
        await view.read_types()
        assert sorted(kernel.modules) == ["kvm", "kvm_intel"]
        lists.write_text(whole)
        await view.read_types()
        assert kernel.modules[2:] == ["kvm_amd"]
        assert view.facts().types["kvm_amd"]["nested"] is ParameterType.INT
        view.close()

    asyncio.run(body())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A modprobe that does not end: the rollback does not use the same path."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from nestd.core.changes.changes import Changes
from nestd.core.errors import RolledBack
from nestd.core.model import When
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.host.kernel import kmod
from nestd.host.kernel.interface import LoadError, LoadTimeout
from nestd.host.kernel.real import RealKernel
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

MODULE = "kvm_intel"


class Hanging(SimulatedKernel):
    """modprobe hangs reading the configuration; FAILURE is the resulting error."""

    def __init__(self, root: Root, failure: type[LoadError]) -> None:
        super().__init__(root, KINDS["intel"])
        self.failure = failure
        self.plain_loads = 0

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        if not only_these:
            self.plain_loads += 1
            raise self.failure("modprobe did not end within 60 s")
        await super().load(name, parameters, only_these=only_these)


@pytest.mark.parametrize(("failure", "plain_loads"), [(LoadTimeout, 1), (LoadError, 2)])
def test_the_same_load_is_not_waited_for_twice(
    tmp_path: Path, failure: type[LoadError], plain_loads: int
) -> None:
    async def body() -> None:
        root = Root(tmp_path)
        kernel = Hanging(root, failure)
        view = HostView(root, kernel, KMOD, "none")
        await view.start()
        changes = Changes(view, Reloads(view, Records(root)))
        before = kernel.read_module(MODULE).parameters
        with pytest.raises(RolledBack, match="did not end"):
            await changes.apply(changes.prepare(MODULE, {"nested": "0"}, When.NOW), 0)
        assert kernel.plain_loads == plain_loads
        assert kernel.read_module(MODULE).parameters == before
        await changes.reloads.close()
        view.close()

    asyncio.run(body())


def test_a_time_limit_is_told_from_other_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_slow(*arguments: object, **options: object) -> None:
        raise TimeoutError("modprobe did not end within 60 s")

    monkeypatch.setattr(kmod, "modprobe", too_slow)
    with pytest.raises(LoadTimeout, match="60 s"):
        asyncio.run(RealKernel(Root(tmp_path)).load(MODULE))

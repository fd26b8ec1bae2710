# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that never reads its archive: the resources it held are freed after a while."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from nestd.core.archive.archives import MOST_AT_ONCE, SupportArchives
from nestd.core.errors import LimitsExceeded
from nestd.core.modules.view import HostView
from nestd.host.kernel.real import FilesOnly
from nestd.host.root import Root


def test_a_client_that_never_reads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logs = tmp_path / "var/log/libvirt"
    logs.mkdir(parents=True)
    (logs / "libvirtd.log").write_bytes(os.urandom(1 << 20))

    async def describe() -> str:
        return "{}"

    async def test() -> None:
        root = Root(tmp_path)
        archives = SupportArchives(HostView(root, FilesOnly(root), 30, "none"), describe, 0.3)
        held = [archives.collect(1 << 20, 0) for _ in range(MOST_AT_ONCE)]
        with pytest.raises(LimitsExceeded):
            archives.collect(1 << 20, 0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        _, late = await asyncio.wait(others, timeout=20)
        assert not late
        for descriptor in (*held, archives.collect(0, 0)):
            os.close(descriptor)

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(test())
    assert caplog.text.count("the client does not read") == MOST_AT_ONCE
    assert len(os.listdir("/proc/self/fd")) == before

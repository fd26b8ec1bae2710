# SPDX-License-Identifier: LGPL-2.1-or-later
"""Watching directories when the kernel has no inotify watches left."""

from __future__ import annotations

import asyncio
import ctypes
import errno
from pathlib import Path

import pytest

from nestd.core.modules.view import HostView
from nestd.host import inotify
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel


def test_modprobe_d_is_read_at_every_look_where_it_cannot_be_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted:
        """fs.inotify.max_user_watches are used up."""

        inotify_init1 = inotify._libc.inotify_init1

        @staticmethod
        def inotify_add_watch(*arguments: object) -> int:
            ctypes.set_errno(errno.ENOSPC)
            return -1

    async def body() -> None:
        root = Root(tmp_path)
        monkeypatch.setattr(inotify, "_libc", Exhausted)
        kernel = SimulatedKernel(root, KINDS["intel"])
        monkeypatch.setattr(kernel, "subscribe", lambda callback: None)
        view = HostView(root, kernel, KMOD, "none")
        await view.start()
        assert view.facts().module("kvm_intel").next_load.effective("nested") is None
        root.at("/etc/modprobe.d/zz.conf").write_text("options kvm_intel nested=0\n")
        await view.settled()
        assert view.facts().module("kvm_intel").next_load.effective("nested") is not None
        view.close()

    asyncio.run(body())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes to kvm.conf while an editor saves it, at a different moment in each round.

tests/run --all has 500 rounds with each kind of editor, otherwise it is a sample.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

import pytest

from nestd.core.changes.change import NeedsMoreAuthorization
from nestd.core.changes.changes import Changes
from nestd.core.errors import FileChanged
from nestd.core.model import When
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records

ROUNDS = 500 if os.environ.get("NESTD_TEST_ALL") else 20
EDITOR = Path(__file__).with_name("editor.py")
# These read the file before they open it for writing, so they overwrite nestd's changes in between.
READ_FIRST = ("in_place", "rename", "moved_away", "emptied_first")


async def set_nested(changes: Changes, value: str) -> None:
    """Set nested as the bus does for a root client."""
    while True:
        change = await changes.request("kvm_intel", {"nested": value}, When.BOOT)
        with contextlib.suppress(NeedsMoreAuthorization):
            await changes.apply(change, 0)
            return


@pytest.mark.parametrize(
    "manner", ["in_place", "read_and_write", "append", "rename", "moved_away", "emptied_first"]
)
def test_nothing_is_lost_beside_an_editor(tmp_path: Path, manner: str) -> None:
    root = Root(tmp_path)
    kernel = SimulatedKernel(root, KINDS["intel"])
    conf = root.at("/etc/modprobe.d/kvm.conf")
    stock = conf.read_bytes()
    lost = made = refused = 0

    async def body() -> None:
        nonlocal lost, made, refused
        view = HostView(root, kernel, KMOD, "none")
        await view.start()
        changes = Changes(view, Reloads(view, Records(root)))
        editor = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EDITOR), manner, str(conf)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert editor.stdin is not None
        assert editor.stdout is not None
        longest = 0.02
        for number in range(ROUNDS):
            editor.stdin.write(b"%f\n" % (longest * (number % 20) / 20))
            asked = f"options kvm_intel nested={number % 2}\n".encode()
            started = time.monotonic()
            try:
                await set_nested(changes, str(number % 2))
                made += 1
            except FileChanged:
                refused += 1
                asked = b""
            longest = min(longest * 2, time.monotonic() - started)
            assert await editor.stdout.readline() == b"%d\n" % number
            if manner not in READ_FIRST:
                lost += asked not in conf.read_bytes()
        editor.stdin.close()
        assert await editor.wait() == 0
        await changes.reloads.close()
        view.close()

    asyncio.run(body())
    print(f"{manner}: {ROUNDS} rounds, {made} changes, {refused} refused, {lost} lost")
    found = conf.read_bytes().splitlines()
    gone = [n for n in range(ROUNDS) if b"# of an editor %d" % n not in found]
    assert gone == []
    assert set(stock.splitlines()) <= set(found)
    assert lost == 0
    assert refused == 0
    assert sorted(os.listdir(conf.parent)) == ["kvm.conf", "vhost.conf"]

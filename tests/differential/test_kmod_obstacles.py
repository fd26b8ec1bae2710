# SPDX-License-Identifier: LGPL-2.1-or-later
"""The obstacles to loading that nestd reports, against what modprobe does with the same files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from module_tree import RELEASE, would_load, write_modules

from nestd.core.modules.view import HostView
from nestd.host.kernel import kmod
from nestd.host.kernel.real import FilesOnly
from nestd.host.root import Root

MODALIAS = "cpu:type:x86,ven0000fam0006mod0001:feature:,0085,"
LINES = [
    "",
    "alias kvm_intel off",
    "alias kvm off",
    "blacklist kvm-intel",
    "blacklist kvm",
    "install kvm_intel /bin/false",
    "install kvm /bin/true",
    "install kvm* /bin/false",
    "install irqbypass /bin/false",
    "install ccp /bin/false",
    "install kvm_intel /bin/false\nsoftdep kvm_intel pre: other",
    "install kvm_intel /bin/false\nsoftdep kvm_intel pre: nosuch",
    "install kvm /bin/false\nsoftdep kvm post: other",
    "install kvm /bin/false\nsoftdep kvm other",
    "install other /bin/false\nsoftdep kvm_intel pre: other",
    "softdep kvm_intel pre: nosuch\nsoftdep kvm_intel pre: other\ninstall kvm_intel /bin/true",
]

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs an x86_64 machine")


@pytest.mark.parametrize("lines", LINES)
def test_obstacles_are_modprobes(tmp_path: Path, lines: str) -> None:
    write_modules(tmp_path)
    (tmp_path / "etc/modprobe.d").mkdir(parents=True)
    (tmp_path / "etc/modprobe.d/a.conf").write_text(f"{lines}\n")
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text(f"{RELEASE}\n")
    kinds = asyncio.run(_obstacles(Root(tmp_path)))
    by_name, by_hardware = would_load(tmp_path, "kvm_intel"), would_load(tmp_path, MODALIAS)
    installs = [line.startswith("install ") for line in by_name]
    assert ("alias" in kinds) == (by_name == [])
    assert ("blacklist" in kinds) == (by_hardware == [])
    assert ("install" in kinds) == (installs[-1:] == [True])
    # The result of soft dependencies matters neither to libkmod nor here.
    needed = [line for line in by_name[:-1] if "other" not in lines or "install other" not in lines]
    assert ("dependency" in kinds) == any(line.startswith("install ") for line in needed)


async def _obstacles(root: Root) -> set[str]:
    view = HostView(root, FilesOnly(root), (await kmod.find_kmod()).version, "none")
    await view.read_types()
    found = {each.kind for each in view.snapshot().modules["kvm_intel"].load_obstacles}
    view.close()
    return found

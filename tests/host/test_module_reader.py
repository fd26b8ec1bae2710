# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cached state of a module: every kind of change to it is noticed."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Callable

import pytest

from nestd.host.kernel import sysfs
from nestd.host.kernel.sysfs import Availability, ModuleFacts, ModuleReader
from nestd.host.root import Root

RELEASE = "6.1.0"
SETTLED_SECONDS = 0.15  # until the time stamps are old enough to be trusted


def load(root: Root, nested: str = "Y") -> None:
    """Create in sysfs what a load of kvm_intel creates."""
    directory = root.at("/sys/module/kvm_intel")
    for place in ("parameters", "holders"):
        (directory / place).mkdir(parents=True)
    for name, value in {"initstate": "live", "refcnt": "0", "parameters/nested": nested}.items():
        (directory / name).write_text(value + "\n")
        (directory / name).chmod(0o444)
    (directory / "parameters/ple_gap").write_text("128\n")
    (directory / "parameters/ple_gap").chmod(0o644)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = Root(tmp_path)
    lists = root.at(f"/lib/modules/{RELEASE}")
    lists.mkdir(parents=True)
    (lists / "modules.dep").write_text("kernel/kvm.ko:\nkernel/kvm-intel.ko: kernel/kvm.ko\n")
    (lists / "modules.builtin").write_text("kernel/ext4.ko\n")
    load(root)
    return root


@pytest.fixture(params=["files", "sysfs"])
def reader(root: Root, request: pytest.FixtureRequest) -> ModuleReader:
    """A reader of ordinary files, and one of sysfs, where time stamps say nothing about content."""
    reader = ModuleReader(root, RELEASE)
    if request.param == "sysfs":
        reader._glance = sysfs._glance_at_sysfs
    return reader


def at(root: Root, file: str) -> Path:
    return root.at(f"/sys/module/kvm_intel/{file}")


def replace(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text + "\n")


def write(root: Root) -> None:
    at(root, "parameters/ple_gap").write_text("64\n")


def use(root: Root) -> None:
    replace(at(root, "refcnt"), "1")


def hold(root: Root) -> None:
    at(root, "holders/other").write_text("")


def go(root: Root) -> None:
    replace(at(root, "initstate"), "going")


def unload(root: Root) -> None:
    shutil.rmtree(at(root, ""))


def reload(root: Root) -> None:
    """Reload it so quickly that no look saw it unloaded."""
    os.rename(at(root, ""), root.at("/sys/before"))
    load(root, "N")


def remove_file(root: Root) -> None:
    root.at(f"/lib/modules/{RELEASE}/modules.dep").write_text("kernel/kvm.ko:\n")


CHANGES: dict[Callable[[Root], None], Callable[[ModuleFacts], bool]] = {
    write: lambda facts: facts.parameters["ple_gap"] == "64",
    use: lambda facts: facts.refcount == 1,
    hold: lambda facts: facts.holders == ("other",),
    go: lambda facts: facts.in_transit,
    unload: lambda facts: not facts.loaded and not facts.parameters,
    reload: lambda facts: facts.parameters["nested"] == "N",
    remove_file: lambda facts: not facts.on_disk and facts.loaded,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seconds", [0.0, SETTLED_SECONDS], ids=["fresh", "settled"])
def test_a_change_is_seen_at_the_next_look(
    root: Root, reader: ModuleReader, change: Callable[[Root], None], seconds: float
) -> None:
    time.sleep(seconds)
    for _ in range(3):
        before = reader.read("kvm_intel")
    assert before.parameters == {"nested": "Y", "ple_gap": "128"}
    assert not CHANGES[change](before)
    change(root)
    assert CHANGES[change](reader.read("kvm_intel"))
    assert CHANGES[change](reader.read("kvm_intel"))


def test_nothing_is_read_again_while_nothing_changes(
    root: Root, reader: ModuleReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(SETTLED_SECONDS)
    for _ in range(3):
        found = reader.read("kvm_intel")
    monkeypatch.setattr(sysfs, "_parameters", None)  # any call of it fails
    assert reader.read("kvm_intel") is found


def test_each_value_is_seen_however_fast_they_change(root: Root, reader: ModuleReader) -> None:
    for value in ("64", "96") * 50:
        at(root, "parameters/ple_gap").write_text(value + "\n")
        assert reader.read("kvm_intel").parameters["ple_gap"] == value


def test_a_module_that_is_coming_is_not_kept(root: Root, reader: ModuleReader) -> None:
    """Its initialization may change read-only parameters."""
    replace(at(root, "initstate"), "coming")
    for _ in range(3):
        assert reader.read("kvm_intel").parameters["nested"] == "Y"
    os.chmod(at(root, "parameters/nested"), 0o644)
    at(root, "parameters/nested").write_text("N\n")
    assert reader.read("kvm_intel").parameters["nested"] == "N"


def test_a_module_that_comes_is_seen(root: Root, reader: ModuleReader) -> None:
    unload(root)
    time.sleep(SETTLED_SECONDS)
    for _ in range(3):
        assert not reader.read("kvm_intel").loaded
    load(root)
    assert reader.read("kvm_intel").loaded


def test_one_that_became_unreadable_is_not_told_as_before(root: Root, reader: ModuleReader) -> None:
    time.sleep(SETTLED_SECONDS)
    for _ in range(3):
        assert not reader.read("kvm_intel").error
    at(root, "parameters/ple_gap").unlink()
    at(root, "parameters/ple_gap").mkdir()
    assert "ple_gap" in reader.read("kvm_intel").error


def test_one_of_the_kernel_image_is_kept_as_well(root: Root, reader: ModuleReader) -> None:
    replace(root.at(f"/lib/modules/{RELEASE}/modules.builtin"), "kernel/kvm-intel.ko")
    at(root, "initstate").unlink()
    time.sleep(SETTLED_SECONDS)
    for _ in range(3):
        assert reader.read("kvm_intel").availability is Availability.BUILTIN
    write(root)
    assert reader.read("kvm_intel").parameters["ple_gap"] == "64"

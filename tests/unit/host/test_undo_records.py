# SPDX-License-Identifier: LGPL-2.1-or-later
from __future__ import annotations

from pathlib import Path

from nestd.host.root import Root
from nestd.host.state.undo_records import UndoRecords

DIRECTORY = "/run/nestd/logs"


def test_a_record_is_there_until_it_is_removed(tmp_path: Path) -> None:
    records = UndoRecords(Root(tmp_path))
    assert records.read("libvirtd.change") is None
    records.write("libvirtd.change", b"old")
    assert UndoRecords(Root(tmp_path)).read("libvirtd.change") == b"old"
    records.remove("libvirtd.change")
    assert records.read("libvirtd.change") is None


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    root = Root(tmp_path)
    records = UndoRecords(root)
    records.write("libvirtd.change", b"old")
    half = root.at(f"{DIRECTORY}/libvirtd.change.new")
    half.write_bytes(b"o")
    other = root.at(f"{DIRECTORY}/virtqemud.change.new")
    other.write_bytes(b"o")
    assert records.read("libvirtd.change") == b"old"
    assert not half.exists()
    assert other.exists()
    assert records.read("virtqemud.change") is None
    assert not other.exists()

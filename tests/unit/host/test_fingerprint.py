# SPDX-License-Identifier: LGPL-2.1-or-later
from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import pytest

from nestd.host import fingerprint


def _append(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"x")


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    os.rename(other, path)


def _same_size_and_time(path: Path) -> None:
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(b"b" * path.stat().st_size)
    os.utime(path, ns=times)


def _chmod(path: Path) -> None:
    path.chmod(0o600)


@pytest.mark.parametrize("change", [_append, _replace, _same_size_and_time, _chmod])
def test_each_way_of_changing_a_file_shows(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 10)
    before = fingerprint.of(path.stat())
    clock = tmp_path / "clock"
    clock.touch()
    while clock.stat().st_ctime_ns == before.changed:  # until the next timer tick
        clock.touch()
    change(path)
    assert fingerprint.of(path.stat()) != before


def test_a_change_in_the_same_tick_may_not_show() -> None:
    found = fingerprint.Fingerprint(1, 2, 3, 0, 5_000_000_000)
    assert not found.is_settled(5.0)
    assert not found.is_settled(5.0 + fingerprint.TICK_SECONDS / 2)
    assert found.is_settled(5.01 + fingerprint.TICK_SECONDS)


def test_only_a_settled_file_that_is_there_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    assert fingerprint.settled(path) is None
    path.write_bytes(b"")
    assert fingerprint.settled(path) is None
    monkeypatch.setattr(fingerprint, "TICK_SECONDS", 0.0)
    assert fingerprint.settled(path) == fingerprint.of(path.stat())

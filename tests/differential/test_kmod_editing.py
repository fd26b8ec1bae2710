# SPDX-License-Identifier: LGPL-2.1-or-later
"""libkmod judges the editor's changes to generated files: the wanted value, and nothing else.

NESTD_KMOD_EXAMPLES: how many files each test edits.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from generated import check_many
from host_trees import file_bytes
from hypothesis import strategies as st
from kmod_oracle import Oracle

from nestd.formats.modprobe import kernel_params
from nestd.formats.modprobe.edit import EditError, configured, set_parameters
from nestd.formats.modprobe.logical_lines import logical_lines

EXAMPLES = int(os.environ.get("NESTD_KMOD_EXAMPLES", "300"))
MODULE = "kvm_intel"

pytestmark = pytest.mark.needs("libkmod.so.2")
_files = st.one_of(file_bytes, file_bytes, st.binary())
_changes = st.dictionaries(
    st.sampled_from(("nested", "npt", "a", "en-able", "x")),
    st.sampled_from(("1", "0", "Y", "a b", "=", "", None)),
    min_size=1,
    max_size=3,
)


class _Host:
    """libkmod's view of a host that has only kvm.conf."""

    def __init__(self, root: Path, libkmod: Oracle) -> None:
        self._file = root / "etc/modprobe.d/kvm.conf"
        self._file.parent.mkdir()
        (root / "proc/cmdline").write_bytes(b"")
        self._libkmod = libkmod

    def read(self, data: bytes) -> tuple[dict[str, object], list[tuple[bytes, bytes | None]]]:
        """What libkmod reads: the module's options as the kernel splits them, and all else."""
        self._file.write_bytes(data)
        answer = self._libkmod.ask(MODULE)
        options = answer.pop("options")
        assert isinstance(options, list)
        answer["other options"] = [item for item in options if item[0] != MODULE]
        answer["bad_lines"] = [(item[0], item[2]) for item in answer["bad_lines"]]
        text = str(answer.pop("module_options") or "").encode("latin-1")
        words = [(word.key, word.value) for word in kernel_params.tokens(text)]
        return answer, words


def test_an_edit_changes_what_was_asked_for_and_nothing_else(
    host_tree: Path, libkmod: Oracle, kmod_version: int, capsys: pytest.CaptureFixture[str]
) -> None:
    host = _Host(host_tree, libkmod)
    seen: Counter[str] = Counter()

    def compare(data: bytes, changes: dict[str, str | None]) -> None:
        seen["files"] += 1
        try:
            edited = set_parameters(data, MODULE, changes, kmod=kmod_version)
        except EditError:
            seen["refused"] += 1
            return
        seen["changed"] += edited != data
        rest_before, before = host.read(data)
        rest_after, after = host.read(edited)
        assert rest_after == rest_before
        names = {name.replace("-", "_").encode() for name in changes}
        assert _others(after, names) == _others(before, names)
        for name, value in changes.items():
            wanted = value.encode() if value else None
            assert _last(after, name.replace("-", "_").encode()) == wanted

    check_many(EXAMPLES, compare, _files, _changes)
    with capsys.disabled():
        print(f"\nlibkmod {kmod_version}: every edit has its effect alone; {dict(seen)}")
    assert seen["changed"] > EXAMPLES // 2


def test_an_edit_leaves_all_other_bytes_alone(kmod_version: int) -> None:
    def compare(data: bytes, value: str | None) -> None:
        try:
            edited = set_parameters(data, MODULE, {"nested": value}, kmod=kmod_version)
        except EditError:
            return
        if value is None:
            assert _is_subsequence(edited, data)
        else:
            start = _common(data, edited)
            rest = _common(data[start:][::-1], edited[start:][::-1])
            gone = data[start : len(data) - rest]
            # The file loses no more than one word, even if it is escaped or continued.
            lines = [line.text for line in logical_lines(gone, kmod=34)]
            assert len(lines) <= 1
            assert len([word for line in lines for word in kernel_params.tokens(line)]) <= 1

    check_many(EXAMPLES, compare, _files, st.sampled_from(("1", None)))


def test_setting_and_removing_gives_the_original_bytes(kmod_version: int) -> None:
    restored = 0

    def compare(data: bytes, names: list[str]) -> None:
        nonlocal restored
        if set(names) & set(configured(data, MODULE, kmod=kmod_version)):
            return
        try:
            edited = data
            for name in names:
                edited = set_parameters(edited, MODULE, {name: "1"}, kmod=kmod_version)
        except EditError:
            return
        for name in sorted(names):
            edited = set_parameters(edited, MODULE, {name: None}, kmod=kmod_version)
        assert edited == data
        restored += 1

    names = st.lists(st.sampled_from(("nested", "a", "x")), min_size=1, unique=True)
    check_many(EXAMPLES, compare, _files, names)
    assert restored > EXAMPLES // 10


def _others(
    words: list[tuple[bytes, bytes | None]], names: set[bytes]
) -> list[tuple[bytes, bytes | None]]:
    return [(name, value) for name, value in words if name not in names]


def _last(words: list[tuple[bytes, bytes | None]], name: bytes) -> bytes | None:
    end = words.index((b"__", None)) if (b"__", None) in words else len(words)
    values = [value for key, value in words[:end] if key == name]
    return values[-1] if values else None


def _common(one: bytes, other: bytes) -> int:
    """The length of the common prefix."""
    pairs = zip(one, other)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _is_subsequence(short: bytes, long: bytes) -> bool:
    position = 0
    for byte in short:
        position = long.find(byte, position) + 1
        if position == 0:
            return False
    return True

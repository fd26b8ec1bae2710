# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd reads a host's modprobe.d exactly as libkmod does, on generated host trees.

NESTD_KMOD_EXAMPLES: how many trees (the full proof takes 10000).
NESTD_LIBKMOD, NESTD_KMOD_VERSION: another libkmod.so.2 than the system's, and its major version.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from generated import check_many
from host_trees import Tree, trees
from hypothesis import assume
from kmod_oracle import Oracle

from nestd.formats.modprobe import kernel_cmdline, modprobe_d
from nestd.formats.modprobe.logical_lines import LogicalLine, logical_lines
from nestd.formats.modprobe.next_load import ConfigFile, next_load
from nestd.host.modprobe.config import IGNORES_DEAD_LINKS, read_cmdline, read_config
from nestd.host.root import Root

pytestmark = pytest.mark.needs("libkmod.so.2")

EXAMPLES = int(os.environ.get("NESTD_KMOD_EXAMPLES", "300"))
MODULE = "kvm_intel"


def test_we_read_every_tree_as_libkmod_does(
    host_tree: Path, libkmod: Oracle, kmod_version: int, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: Counter[str] = Counter()

    def compare(tree: Tree) -> None:
        # Before kmod 34 the result for a dangling link depended on uninitialized memory.
        assume(kmod_version >= IGNORES_DEAD_LINKS or not tree.has_dead_link())
        tree.write(host_tree)
        ours = _ours(Root(host_tree), kmod_version)
        assert ours == _comparable(libkmod.ask(MODULE))
        seen["trees"] += 1
        seen["trees with options"] += bool(ours["options"])
        seen[f"trees with options of {MODULE}"] += ours["module_options"] is not None
        for name in ("options", "blacklists", "install_commands", "aliases", "bad_lines"):
            items = ours[name]
            assert isinstance(items, list)
            seen[name] += len(items)

    check_many(EXAMPLES, compare, trees)
    with capsys.disabled():
        print(f"\nlibkmod {kmod_version}: no disagreement; {dict(seen)}")
    assert seen["trees"] >= EXAMPLES
    assert seen[f"trees with options of {MODULE}"] > EXAMPLES // 2


def _comparable(answer: dict[str, object]) -> dict[str, object]:
    """libkmod's answer without the parts of a soft dependency, which nestd does not model."""
    softdeps = answer.pop("softdeps")
    assert isinstance(softdeps, list)
    lists = {
        name: [tuple(item) for item in items] if isinstance(items, list) else items
        for name, items in answer.items()
    }
    return {**lists, "softdeps": [key for key, _ in softdeps]}


def _ours(root: Root, version: int) -> dict[str, object]:
    """The same from nestd's reader, in libkmod's terms."""
    config = read_config(root, version)
    cmdline = read_cmdline(root)
    load = next_load(config.files, cmdline, MODULE, kmod=version)
    found: list[modprobe_d.Directive] = []
    for file in config.files:
        found += modprobe_d.parse(file.data, kmod=version)
    found += kernel_cmdline.parse(cmdline, kmod=version)
    install = load.install_by
    return {
        "blacklists": [
            (_text(d.module), None) for d in found if isinstance(d, modprobe_d.Blacklist)
        ],
        "install_commands": [
            (_text(d.module), _text(d.command)) for d in found if isinstance(d, modprobe_d.Install)
        ],
        "remove_commands": [
            (_text(d.module), _text(d.command)) for d in found if isinstance(d, modprobe_d.Remove)
        ],
        "aliases": [
            (_text(d.alias), _text(d.module)) for d in found if isinstance(d, modprobe_d.Alias)
        ],
        "options": [
            (_text(d.module), _text(d.text)) for d in found if isinstance(d, modprobe_d.Options)
        ],
        "softdeps": [_text(d.module) for d in found if isinstance(d, modprobe_d.Softdep)],
        "module_options": _text(load.options) if load.options else None,
        "module_install": install
        and _install_command(config.files, install.file, install.line, version),
        "bad_lines": [item for file in config.files for item in _bad_lines(file, version)],
    }


def _install_command(files: tuple[ConfigFile, ...], path: str, line: int, version: int) -> str:
    for file in files:
        for directive in modprobe_d.parse(file.data, kmod=version):
            if isinstance(directive, modprobe_d.Install):
                printable = os.fsencode(file.path).decode("utf-8", "backslashreplace")
                if (printable, directive.line) == (path, line):
                    return _text(directive.command)
    raise AssertionError(f"no install line at {path}:{line}")


def _bad_lines(file: ConfigFile, version: int) -> Iterator[tuple[str, int, str]]:
    """File, line number and first word as in libkmod's warnings; the number is of the last line."""
    last_lines = {
        line.line: line.line + _line_feeds(file.data, line)
        for line in logical_lines(file.data, kmod=version)
    }
    for directive in modprobe_d.parse(file.data, kmod=version):
        if isinstance(directive, modprobe_d.BadLine):
            word = directive.text.strip(b"\t ").replace(b"\t", b" ").split(b" ")[0]
            deprecated = word in (b"include", b"config")
            number = 0 if deprecated else last_lines[directive.line]
            yield _text(os.fsencode(file.path)), number, _text(word)


def _line_feeds(data: bytes, line: LogicalLine) -> int:
    return data.count(b"\n", line.start, line.end) - line.terminated


def _text(data: bytes) -> str:
    return data.decode("latin-1")

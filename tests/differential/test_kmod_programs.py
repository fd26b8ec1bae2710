# SPDX-License-Identifier: LGPL-2.1-or-later
"""What modprobe(8) itself prints for generated directories: `-c` and `--show-depends`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from generated import check_many
from host_trees import Tree, trees
from hypothesis import assume
from kmod_oracle import RELEASE
from module_tree import module_file

from nestd.formats.modprobe import kernel_cmdline, modprobe_d
from nestd.formats.modprobe.next_load import NextLoad, next_load
from nestd.host.modprobe.config import IGNORES_DEAD_LINKS, read_cmdline, read_config
from nestd.host.root import Root

EXAMPLES = int(os.environ.get("NESTD_KMOD_EXAMPLES", "300")) // 10
MODULE = "kvm_intel"
USED = ("etc/modprobe.d", "run/modprobe.d")  # the same directories as -C options, in this order

pytestmark = pytest.mark.skipif(
    "NESTD_LIBKMOD" in os.environ, reason="modprobe is not of the libkmod in NESTD_LIBKMOD"
)


def test_modprobe_shows_the_directives_that_we_read(host_tree: Path, kmod_version: int) -> None:
    compared = 0

    def compare(tree: Tree) -> None:
        nonlocal compared
        _write(tree, host_tree, kmod_version)
        shown = _modprobe(host_tree, "--showconfig")
        lines = shown.partition(b"\n# End of configuration files.")[0].split(b"\n")
        for keyword in (b"blacklist", b"install", b"remove", b"alias", b"options"):
            theirs = [line for line in lines if line.startswith(keyword + b" ")]
            assert theirs == _lines(keyword, host_tree, kmod_version)
        compared += 1

    check_many(EXAMPLES, compare, trees)
    assert compared >= EXAMPLES


def test_modprobe_would_pass_the_options_that_we_say(host_tree: Path, kmod_version: int) -> None:
    directory = host_tree / "lib/modules" / RELEASE
    (directory / "kernel").mkdir()
    module = directory / "kernel/kvm-intel.ko"
    module.write_bytes(module_file(b"name=kvm_intel\0license=GPL\0depends=\0"))
    subprocess.run(["depmod", "-b", host_tree, RELEASE], check=True, capture_output=True)
    compared = 0

    def compare(tree: Tree) -> None:
        nonlocal compared
        _write(tree, host_tree, kmod_version)
        load = _next_load(host_tree, kmod_version)
        shown = _modprobe(host_tree, "--dry-run", "--verbose", "--show-depends", MODULE)
        insmod = b"insmod " + os.fsencode(module) + b" "
        ours = [load.options + b" "] if load.options else [b""]
        if load.install_by is not None or load.alias_by is not None:
            ours = []
        assert [
            line[len(insmod) :] for line in shown.split(b"\n") if line.startswith(insmod)
        ] == ours
        compared += 1

    check_many(EXAMPLES, compare, trees)
    assert compared >= EXAMPLES


def _write(tree: Tree, root: Path, version: int) -> None:
    entries = {name: tree.directories[name] if name in USED else {} for name in tree.directories}
    tree = Tree(entries, tree.softdep, b"")
    assume(version >= IGNORES_DEAD_LINKS or not tree.has_dead_link())
    tree.write(root)


def _modprobe(root: Path, *arguments: str) -> bytes:
    directories = [word for name in USED for word in ("-C", str(root / name))]
    command = ["modprobe", *directories, "-d", str(root), "-S", RELEASE, *arguments]
    return subprocess.run(command, capture_output=True, env={"PATH": os.environ["PATH"]}).stdout


def _lines(keyword: bytes, root: Path, version: int) -> list[bytes]:
    directives = [
        directive
        for file in read_config(Root(root), version).files
        for directive in modprobe_d.parse(file.data, kmod=version)
    ]
    directives += kernel_cmdline.parse(read_cmdline(Root()), kmod=version)
    return [line for line in map(_line, directives) if line.startswith(keyword + b" ")]


def _line(directive: modprobe_d.Directive) -> bytes:
    if isinstance(directive, modprobe_d.Options):
        return b"options " + directive.module + b" " + directive.text
    if isinstance(directive, modprobe_d.Blacklist):
        return b"blacklist " + directive.module
    if isinstance(directive, modprobe_d.Alias):
        return b"alias " + directive.alias + b" " + directive.module
    if isinstance(directive, (modprobe_d.Install, modprobe_d.Remove)):
        keyword = b"install " if isinstance(directive, modprobe_d.Install) else b"remove "
        return keyword + directive.module + b" " + directive.command
    return b""


def _next_load(root: Path, version: int) -> NextLoad:
    # modprobe reads this machine's command line.
    files = read_config(Root(root), version).files
    return next_load(files, read_cmdline(Root()), MODULE, kmod=version)

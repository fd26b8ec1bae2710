# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completion in the real shells, and the completion files against the command line."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from run_nestctl import CHECKOUT
from terminal import terminal

COMPLETION = CHECKOUT / "packaging" / "completion"
FILES = ("nestctl.bash", "_nestctl", "nestctl.fish")


def test_the_files_are_what_the_command_line_gives(tmp_path: Path) -> None:
    script = (COMPLETION / "generate.py").read_text()
    (tmp_path / "packaging" / "completion").mkdir(parents=True)
    (tmp_path / "nestd").symlink_to(CHECKOUT / "nestd")
    copy = tmp_path / "packaging" / "completion" / "generate.py"
    copy.write_text(script)
    subprocess.run([sys.executable, str(copy)], check=True)
    for name in FILES:
        assert (copy.parent / name).read_text() == (COMPLETION / name).read_text(), name


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with virtqemud and KVM for Intel; programs answer the shells' queries."""
    programs = {
        "virtqemud": "",
        "virsh": "printf '%s\\n' web1 db1",
        "ls": "case $1 in /sys/module) printf '%s\\n' kvm kvm-intel.ko.xz vfat ;;"
        ' *) exec /bin/ls "$@" ;; esac',
    }
    directory = tmp_path / "programs"
    directory.mkdir()
    for name, script in programs.items():
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def _bash(*words: str) -> list[str]:
    script = (
        f"source {shlex.quote(str(COMPLETION / 'nestctl.bash'))};"
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _nestctl;"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-uc", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash(tmp_path: Path) -> None:
    assert _bash("nestctl", "ne") == ["nested"]
    assert _bash("nestctl", "--simulate", "") == ["intel", "amd", "power", "s390", "arm64"]
    assert _bash("nestctl", "--simulate", "amd", "st") == ["status"]
    assert _bash("nestctl", "nested", "o") == ["on", "off"]
    assert _bash("nestctl", "nested", "on", "--wh") == ["--when-idle"]
    assert _bash("nestctl", "reload", "kvm") == ["kvm", "kvm_intel"]
    words = ["show", "set", "debug", "collect", "presets", "--help", "--json"]
    assert _bash("nestctl", "log", "") == words
    assert _bash("nestctl", "log", "set", "virt") == ["virtqemud"]
    assert _bash("nestctl", "check-guest", "w") == ["web1"]
    assert "qmp" in _bash("nestctl", "log", "debug", "virtqemud", "--preset", "")
    guest = tmp_path / "guest.xml"
    guest.write_text("")
    assert _bash("nestctl", "check-guest", str(tmp_path / "gu")) == [str(guest)]


def _fish(line: str) -> list[str]:
    source = shlex.quote(str(COMPLETION / "nestctl.fish"))
    script = f"source {source}; complete -C {shlex.quote(line)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], capture_output=True, text=True, check=True
    )
    return [found.split("\t")[0] for found in done.stdout.splitlines()]


@pytest.mark.needs("fish")
def test_fish(tmp_path: Path) -> None:
    assert _fish("nestctl ne") == ["nested"]
    assert _fish("nestctl --simulate a") == ["amd", "arm64"]
    assert _fish("nestctl --simulate amd st") == ["status"]
    assert set(_fish("nestctl nested o")) == {"on", "off"}
    assert _fish("nestctl nested on --wh") == ["--when-idle"]
    assert set(_fish("nestctl unload kvm")) == {"kvm", "kvm_intel"}
    assert _fish("nestctl log c") == ["collect"]
    assert _fish("nestctl log set virt") == ["virtqemud"]
    assert "qmp" in _fish("nestctl log debug --preset q")
    assert set(_fish("nestctl nested --d")) == {"--dry-run"}
    assert _fish("nestctl vms --d") == []


@pytest.mark.needs("zsh", "tmux")
def test_zsh(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    start = (
        f"fpath=({COMPLETION} $fpath); autoload -U compinit; compinit -u -d {dump};"
        "PS1='ready> '; clear"
    )
    variables = {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "PATH": os.environ["PATH"]}
    with terminal(tmp_path, ["zsh", "-f", "-i"], variables) as screen:
        screen.press(start, "Enter")
        screen.wait_for(lambda text: text.startswith("ready>"))
        for typed, completed in (
            ("nestctl nes", "nestctl nested"),
            ("nestctl --simulate am", "nestctl --simulate amd"),
            ("nestctl nested of", "nestctl nested off"),
            ("nestctl nested on --wh", "nestctl nested on --when-idle"),
            ("nestctl log col", "nestctl log collect"),
            ("nestctl log set virtq", "nestctl log set virtqemud"),
            ("nestctl log debug --preset qm", "nestctl log debug --preset qmp"),
            ("nestctl set kvm_in", "nestctl set kvm_intel"),
        ):
            screen.press(typed, "Tab")
            screen.wait_for_text(f"> {completed}")
            screen.press("C-u")

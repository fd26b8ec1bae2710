# SPDX-License-Identifier: LGPL-2.1-or-later
from __future__ import annotations

import sys
from pathlib import Path

import interpreters
import pytest


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_each_version_once_and_none_that_is_too_old_or_a_dead_shim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one/python3.9", "one/python3.11", "two/python3.11", "two/python3.8"):
        _program(tmp_path / name, "exit 0")
    _program(tmp_path / "one/python3.12", "echo 'pyenv: python3.12: command not found'; exit 127")
    _program(tmp_path / "one/python3.11-config", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}/one:{tmp_path}/two:{tmp_path}/none")
    monkeypatch.setenv("SUDO_USER", "nobody")
    assert interpreters.find() == [
        interpreters.Python("3.9", f"{tmp_path}/one/python3.9"),
        interpreters.Python("3.11", f"{tmp_path}/one/python3.11"),
    ]


def test_the_python_that_runs_this_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.base_prefix) / "bin"))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert version in [python.version for python in interpreters.find()]

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugin for sos, run by the distribution's sos on a simulated host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import tiers
from run_nestctl import CHECKOUT, COMMAND

pytestmark = pytest.mark.needs("sos")

PLUGIN = CHECKOUT / "packaging" / "sos" / "nestd.py"
# sos runs programs from system directories only, and loads plugins from its own directory.
IN_NAMESPACE = """
mount --bind "$1" /usr/local/bin && cd "$2" && shift 2
exec "$@"
"""
FIND_SOS = "import sos, sys; sys.stdout.write(sos.__path__[0])"


def _sos_with_the_plugin(directory: Path) -> None:
    found = subprocess.run(
        [tiers.SYSTEM_PYTHON, "-c", FIND_SOS], capture_output=True, text=True, check=True, cwd="/"
    )
    shutil.copytree(found.stdout, directory / "sos")
    shutil.copy(PLUGIN, directory / "sos" / "report" / "plugins")


def _program(directory: Path) -> Path:
    directory.mkdir()
    program = directory / "nestctl"
    command = " ".join(f"'{word}'" for word in COMMAND)
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{CHECKOUT}' exec {command} \"$@\"\n")
    program.chmod(0o755)
    return program


def test_a_report_has_what_nestd_says(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        tiers.lacking(["root"])
    _sos_with_the_plugin(tmp_path)
    nestctl = _program(tmp_path / "bin")
    (tmp_path / "out").mkdir()
    report = [tiers.SYSTEM_PYTHON, shutil.which("sos", path=tiers.SEARCH_PATH), "report"]
    # nestd is not a service of this machine, so the condition that it runs is overridden.
    report += ["--batch", "--build", "--allow-system-changes", "--only-plugins", "nestd"]
    report += ["--tmp-dir", str(tmp_path / "out")]
    inside = ["unshare", "--mount", "sh", "-euc", IN_NAMESPACE, "sh", str(nestctl.parent)]
    command = [str(nestctl), "--simulate", "intel,guests=1", "shell", *inside, str(tmp_path)]
    done = subprocess.run(
        [*command, *map(str, report)], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [tree] = (tmp_path / "out").glob("sosreport-*/sos_commands/nestd")
    said = {path.name: path.read_text() for path in tree.iterdir()}
    host = json.loads(said["nestctl_--no-ask-password_describe"])
    assert host["host_module"] == "kvm_intel"
    assert "guest1" in said["nestctl_--no-ask-password_guests"]
    assert "kvm_intel is loaded" in said["nestctl_--no-ask-password_validate_--all"]
    assert "virtqemud" in said["nestctl_--no-ask-password_log_show"]
    assert "nestctl_--no-ask-password_history" in said
    assert "kvm_intel, loaded" in said["nestctl_--no-ask-password_status"]

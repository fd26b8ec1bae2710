# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables match the XML: after a change of the XML, run packaging/api/generate.py."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from contract import API, contract

from nestd.dbus.objects.interface import InterfaceSpec
from nestd.formats.api import job, log_control, log_daemon, manager, module

CHECKOUT = Path(__file__).resolve().parents[4]
GENERATE = CHECKOUT / "packaging" / "api" / "generate.py"
TABLES = [each.TABLE for each in (job, log_control, log_daemon, manager, module)]


def test_generated_modules_are_up_to_date() -> None:
    if not GENERATE.exists():
        pytest.fail("packaging/api/generate.py is part of each source")
    made = list(runpy.run_path(str(GENERATE))["modules"]())
    assert {path.name for path, _ in made} >= {"manager.py", "freedesktop.py"}
    for path, text in made:
        assert path.read_text("utf-8") == text, "run packaging/api/generate.py"


def test_each_interface_has_a_table() -> None:
    assert {table.name for table in TABLES} == {path.stem for path in API.glob("*.xml")}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_table_is_the_contract(table: object) -> None:
    spec = InterfaceSpec.of(table)  # type: ignore[arg-type]
    assert spec == contract(spec.name)


def test_no_start_reads_the_contract_as_xml() -> None:
    module = "nestd.dbus.objects.introspection"
    code = f"import sys, nestd.daemon.main; print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

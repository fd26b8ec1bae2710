# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl metrics: what Prometheus gets from a simulated host."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from run_nestctl import nestctl
from running_nestd import Nestd

SAMPLE = re.compile(r'nestd_[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? \d+(\.\d+)?')


def _samples(text: str) -> set[str]:
    return {line for line in text.splitlines() if not line.startswith("#")}


def _metrics(nestd: Nestd) -> str:
    return nestctl(nestd.address, "metrics").out


def test_a_host_as_it_is(intel: Nestd) -> None:
    result = nestctl(intel.address, "metrics")
    assert result.code == 0
    assert result.out.endswith("# EOF\n")
    found = _samples(result.out)
    assert [line for line in found if not SAMPLE.fullmatch(line)] == []
    assert 'nestd_nested{at="running",state="yes"} 1' in found
    assert 'nestd_module_state{module="kvm_intel",state="in-sync"} 1' in found
    assert 'nestd_module_loaded{module="kvm_amd"} 0' in found
    assert "nestd_machines 0" in found


def test_a_reload_that_waits(intel: Nestd) -> None:
    intel.start_machine("web01")
    done = nestctl(intel.address, "nested", "off", "--when-idle", "--json")
    assert json.loads(done.out)["job"]
    found = _samples(nestctl(intel.address, "metrics").out)
    assert 'nestd_jobs{module="kvm_intel",state="waiting"} 1' in found
    assert 'nestd_module_state{module="kvm_intel",state="reload-pending"} 1' in found
    assert "nestd_machines 1" in found


def test_what_has_ended_is_counted(intel: Nestd) -> None:
    assert nestctl(intel.address, "nested", "off").code == 0
    assert nestctl(intel.address, "nested", "on").code == 0
    intel.start_machine("web01")
    assert nestctl(intel.address, "nested", "off").code == 3
    found = _samples(nestctl(intel.address, "metrics").out)
    assert 'nestd_results_total{kind="change",result="done"} 2' in found
    assert 'nestd_results_total{kind="change",result="refused"} 1' in found


def test_parameters_that_drift_are_counted_by_module(intel: Nestd) -> None:
    assert 'nestd_module_drift{module="kvm_intel"} 0' in _samples(_metrics(intel))
    assert nestctl(intel.address, "set", "kvm_intel", "nested=0", "ept=0", "--at-boot").code == 0
    found = _samples(_metrics(intel))
    assert 'nestd_module_drift{module="kvm_intel"} 2' in found
    assert 'nestd_module_state{module="kvm_intel",state="reload-pending"} 1' in found


def test_a_debug_session_and_its_bytes(intel: Nestd) -> None:
    assert 'nestd_debug_session_active{daemon="virtqemud"} 0' in _samples(_metrics(intel))
    assert nestctl(intel.address, "log", "debug", "virtqemud", "--no-wait").code == 0
    found = _samples(_metrics(intel))
    assert 'nestd_debug_session_active{daemon="virtqemud"} 1' in found
    assert any(line.startswith("nestd_debug_session_bytes{") for line in found)
    assert any(line.startswith("nestd_debug_session_end_timestamp_seconds{") for line in found)


@pytest.mark.needs("promtool")
def test_a_file_for_node_exporter(intel: Nestd, tmp_path: Path) -> None:
    # With a sample in every family: promtool checks names, units and labels only of those.
    intel.start_machine("web01")
    assert nestctl(intel.address, "nested", "off", "--when-idle", "--json").code == 0
    assert nestctl(intel.address, "log", "debug", "virtqemud", "--no-wait").code == 0
    path = tmp_path / "nestd.prom"
    path.write_text("old")
    result = nestctl(intel.address, "metrics", "--textfile", "--output", str(path))
    assert (result.code, result.out) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o644
    families = re.findall("^# TYPE (nestd_[a-z_]+) ", path.read_text(), re.MULTILINE)
    empty = [name for name in families if not re.search(f"^{name}[ {{]", path.read_text(), re.M)]
    assert (len(families), empty) == (15, [])
    assert [each.name for each in tmp_path.glob("*nestd.prom*")] == ["nestd.prom"]
    with path.open() as file:
        done = subprocess.run(
            ["promtool", "check", "metrics"],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_file_that_cannot_be_written(intel: Nestd) -> None:
    result = nestctl(intel.address, "metrics", "--output", "/nowhere/nestd.prom")
    assert result.code == 1
    assert "/nowhere/nestd.prom cannot be written" in result.err

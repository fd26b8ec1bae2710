# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl wait: until a job ends, or for a given time."""

from __future__ import annotations

import json
import subprocess

from run_nestctl import nestctl, start_nestctl
from running_nestd import Nestd


def _waiting_job(intel: Nestd) -> str:
    intel.start_machine("web01")
    done = nestctl(intel.address, "nested", "off", "--when-idle", "--json")
    return str(json.loads(done.out)["job"])


def _start(intel: Nestd, *arguments: str) -> subprocess.Popen[str]:
    return start_nestctl("wait", *arguments, DBUS_SYSTEM_BUS_ADDRESS=intel.address)


def test_a_job_that_still_waits_after_the_time(intel: Nestd) -> None:
    job = _waiting_job(intel)
    result = nestctl(intel.address, "wait", job, "--for", "1s", "--json")
    assert result.code == 3
    found = json.loads(result.out)["job"]
    assert (str(found["id"]), found["state"]) == (job, "waiting")
    assert [each["name"] for each in found["blockers"]] == ["web01"]
    result = nestctl(intel.address, "wait", job, "--for", "1s")
    assert result.code == 3
    assert "web01" in result.out


def test_a_job_that_ends_meanwhile(intel: Nestd) -> None:
    job = _waiting_job(intel)
    process = _start(intel, job, "--for", "1m", "--json")
    intel.end_machine("web01")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert json.loads(output)["job"]["state"] == "done"


def test_a_job_that_is_cancelled(intel: Nestd) -> None:
    job = _waiting_job(intel)
    process = _start(intel, job, "--json")
    assert nestctl(intel.address, "cancel", job).code == 0
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(output)["job"]["state"] == "cancelled"


def test_no_such_job(intel: Nestd) -> None:
    assert nestctl(intel.address, "wait", "99").code == 2

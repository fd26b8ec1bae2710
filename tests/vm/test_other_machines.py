# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service on the kernels of POWER9 and IBM Z: one boot of each emulated machine.

The tests are in other_guests/power/ and other_guests/s390/: plain functions that run as root in the
guest, without pytest, and share one boot and one nestd (other_guests/init, report.py).
other_machines.py builds the images.
"""

from __future__ import annotations

import os
import time
from typing import Callable

import debian_image
import other_machines
import pytest
import results
import tiers
from other_machines import Boot, Machine

pytestmark = pytest.mark.arch

CASES = [
    pytest.param(machine, name, id=f"{machine.name}-{name}")
    for machine in other_machines.MACHINES
    for name in results.functions(other_machines.TESTS / machine.name)
]


@pytest.fixture(scope="session")
def boot(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    record_testsuite_property: Callable[[str, object], None],
) -> Boot:
    """The machine's results, after it has run all its tests. Takes up to a few minutes."""
    machine: Machine = request.param
    if not machine.directory.exists() and os.geteuid() != 0:
        tiers.lacking([f"root, to build the image of {machine.name}"])
    started = time.monotonic()
    try:
        other_machines.build(machine)
    except debian_image.BuildError as error:
        pytest.fail(str(error), pytrace=False)
    record_testsuite_property(f"{machine.name} image", f"{time.monotonic() - started:.0f} s")
    boot = other_machines.boot(machine, tmp_path_factory.mktemp(machine.name))
    record_testsuite_property(f"{machine.name} boot and tests", f"{boot.seconds:.0f} s")
    return boot


@pytest.mark.parametrize(("boot", "name"), CASES, indirect=["boot"], scope="session")
def test_other_machine(boot: Boot, name: str) -> None:
    outcome = boot.outcomes.get(name, results.Outcome())
    if outcome.outcome == "failed":
        pytest.fail(outcome.text, pytrace=False)
    if outcome.outcome != "passed":
        pytest.fail(f"{name} did not finish: {outcome.outcome}\n{boot.ending}", pytrace=False)

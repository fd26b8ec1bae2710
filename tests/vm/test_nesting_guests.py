# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that are themselves hypervisors, on a real kernel: the tests of nesting_guest/.

Like test_guest.py, in a separate boot, which ends with a locked-down kernel. It also tests
obstacles to loading modules, and kvm itself with its vendor module.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import debian_image
import guest_run
import image
import pytest
import results
import tiers

pytestmark = pytest.mark.nesting
LIMIT = 2 * 3600.0
TESTS = Path(__file__).resolve().with_name("nesting_guest")


@pytest.fixture(scope="session")
def nesting_guest() -> guest_run.GuestRun:
    """The machine's results, after it has run all tests. Takes many minutes."""
    if not image.directory().exists() and os.geteuid() != 0:
        tiers.lacking([f"the image, which root builds with {image.__file__}"])
    try:
        return guest_run.run(image.build(), TESTS, LIMIT)
    except debian_image.BuildError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.mark.parametrize("name", results.functions(TESTS))
def test_nesting_guest(
    name: str,
    nesting_guest: guest_run.GuestRun,
    record_property: Callable[[str, object], None],
) -> None:
    outcome = nesting_guest.outcomes.get(name, results.Outcome())
    for key, value in outcome.properties:
        record_property(key, value)
    if outcome.outcome in ("missing", "running"):
        pytest.fail(f"{name} did not finish: {outcome.outcome}\n{nesting_guest.ending}")
    assert outcome.outcome == "passed", outcome.text

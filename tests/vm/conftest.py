# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots the guest once for all its tests."""

from __future__ import annotations

import os
import time
from typing import Callable

import debian_image
import guest_run
import image
import pytest
import tiers

# These directories' tests run only inside guests.
collect_ignore = ["guest", "nesting_guest", "other_guests"]


@pytest.fixture(scope="session")
def guest(
    record_testsuite_property: Callable[[str, object], None],
) -> guest_run.GuestRun:
    """The guest's results, after it has run all its tests. Takes minutes."""
    if not image.directory().exists() and os.geteuid() != 0:
        tiers.lacking([f"the image, which root builds with {image.__file__}"])
    started = time.monotonic()
    try:
        directory = image.build()
    except debian_image.BuildError as error:
        pytest.fail(str(error), pytrace=False)
    record_testsuite_property("image", f"{time.monotonic() - started:.0f} s")
    run = guest_run.run(directory)
    for step, seconds in run.seconds.items():
        record_testsuite_property(step, f"{seconds:.0f} s")
    return run

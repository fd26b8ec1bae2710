# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service on a real kernel with KVM: one boot; each test of guest/ is reported as a test here.

To add a test, write it in guest/test_*.py: plain pytest functions that run as root in the guest,
with systemd, udev, D-Bus, polkit and libvirt up and this checkout's nestd installed and running
(virtual machines: guest/machines.py; what is installed and started: guest/run.sh; packages:
image.py). The tests share one boot, so each must leave the modules loaded and the files unchanged.
The properties that a guest test records (record_property) are shown in the summary of tests/run.
The files of the last boots (journal.log, pytest.log, console.log) are kept in .cache/guest/.

`pytest --tier vm -k NAME` still boots and runs all; for an experiment, pass machine.run() a
directory with your own run.sh.
"""

from __future__ import annotations

from typing import Callable

import guest_run
import pytest
import results

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", results.functions(guest_run.TESTS))
def test_guest(
    name: str, guest: guest_run.GuestRun, record_property: Callable[[str, object], None]
) -> None:
    outcome = guest.outcomes.get(name, results.Outcome())
    for key, value in outcome.properties:
        record_property(key, value)
    if outcome.outcome in ("missing", "running"):
        pytest.fail(f"{name} did not finish: {outcome.outcome}\n{guest.ending}", pytrace=False)
    if outcome.outcome == "failed":
        pytest.fail(outcome.text, pytrace=False)
    if outcome.outcome == "skipped":
        pytest.skip(outcome.text)
    assert outcome.outcome == "passed"

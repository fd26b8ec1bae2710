# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests under lockdown, which lasts until the next boot, so this file runs last."""

from __future__ import annotations

from pathlib import Path

import l1_guests
import pytest
from l1_guests import REQUIRED, define, guests, press_power_button, start

LOCKDOWN = Path("/sys/kernel/security/lockdown")


@pytest.mark.timeout(3600)
def test_what_the_kernel_hides_is_unknown_and_not_no() -> None:
    with l1_guests.domains():
        define("lab", REQUIRED)
        start("lab")
        assert guests()["lab"]["nesting"] == "not-used"
        LOCKDOWN.write_text("integrity")
        found = guests()["lab"]
        assert found["nesting"] == "unknown"
        assert "lockdown" in str(found["nesting_by"])
        assert found["exposed"] == "yes"
        # Only a sample at this instant can be read, and it may miss the guest's own guest.
        press_power_button("lab")
        assert guests()["lab"]["nesting"] in ("used", "unknown")

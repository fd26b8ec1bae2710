# SPDX-License-Identifier: LGPL-2.1-or-later
"""Services with less than the page can show: version 1.0, and one that may not read everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Opener, expect
from newer_bridge import newer_bridge
from page import BRIDGE_IN_C

pytestmark = pytest.mark.cockpit

FIRST_VERSION = (Path(__file__).parent / "first_version.py").read_text()
WITHOUT_PTRACE = """
from nestd.host.kernel import kvm_holders
kvm_holders.may_see_all = lambda root: False
"""


@pytest.mark.parametrize("is_newer", [False, True], ids=["C", "Python"])
def test_page_shows_what_a_service_of_version_1_0_has(opened: Opener, is_newer: bool) -> None:
    opened.run_before_nestd(FIRST_VERSION)
    screen = opened("intel,guests=1", bridge=newer_bridge() if is_newer else BRIDGE_IN_C)
    card = screen.card("Nested virtualization")
    expect(screen.switch).to_be_checked()
    expect(card).to_contain_text("After the next bootThe kernel's default")
    machines = screen.card("Machines")
    expect(machines.get_by_role("row").filter(has_text="guest1")).to_contain_text(
        "Not told by this version of nestd"
    )
    expect(screen.card("Checks").get_by_role("button", name="passed or")).to_be_visible()
    expect(screen.card("Module parameters")).to_contain_text("ple_gap")
    expect(screen.card("History")).to_contain_text("This version of nestd keeps no history.")
    daemon = screen.card("Debug logs").get_by_role("article", name="virtqemud")
    expect(daemon).to_contain_text("Running")
    screen.inspect("version-1.0")
    daemon.get_by_role("button", name="Debug for some time").click()
    screen.dialog().get_by_role("textbox", name="Filters").fill("1:qemu")
    screen.dialog().get_by_role("button", name="Start").click()
    expect(daemon.get_by_role("timer")).to_contain_text("Ends in")
    daemon.get_by_role("button", name="Stop").click()
    expect(daemon.get_by_role("timer")).to_be_hidden()
    screen.nestd.end_machine("guest1")
    expect(machines).to_contain_text("No virtual machine runs")
    screen.ask_for_change().get_by_role("button", name="Apply").click()
    expect(screen.switch).not_to_be_checked()
    expect(card.get_by_role("button", name="/etc/modprobe.d/kvm.conf:")).to_be_visible()
    assert screen.errors == []


def test_machines_that_nestd_may_not_look_at_are_told(opened: Opener) -> None:
    opened.run_before_nestd(WITHOUT_PTRACE)
    screen = opened("intel,guests=1")
    machines = screen.card("Machines")
    expect(machines).to_contain_text("there may be more machines")
    expect(machines).to_contain_text("guest1")
    screen.inspect("machines-not-known")

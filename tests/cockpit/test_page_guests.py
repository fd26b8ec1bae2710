# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nesting in the running machines, as the page shows it."""

from __future__ import annotations

import pytest
from browser import Opener, expect

pytestmark = pytest.mark.cockpit

# A virsh for the simulated host; the live XML is where the real libvirt keeps it.
VIRSH = """#!/bin/sh
for name; do :; done
sed -n '/<domain /,/<\\/domain>/p' "$SIMULATED_ROOT/run/libvirt/qemu/$name.xml"
"""


def test_guests_are_told_apart(opened: Opener) -> None:
    screen = opened("intel,guests=3")
    rows = screen.card("Machines").get_by_role("row")
    first, second, third = (rows.filter(has_text=f"guest{number}") for number in (1, 2, 3))
    expect(first).to_contain_text("Has run none")
    expect(second).to_contain_text("Has run machines")
    expect(third.get_by_role("button", name="No", exact=True)).to_be_visible()
    first.get_by_role("button", name="Yes").click()
    expect(screen.dialog()).to_contain_text("live XML")
    screen.page.keyboard.press("Escape")
    screen.inspect("guests")


def test_xml_of_a_running_guest_comes_from_libvirt(opened: Opener) -> None:
    opened.programs["virsh"] = VIRSH
    screen = opened("intel,guests=3")
    machines = screen.card("Machines")
    machines.get_by_role("button", name="Check guest3").click()
    expect(screen.dialog()).to_contain_text("This guest cannot run virtual machines of its own.")
    screen.dialog().get_by_role("button", name="Close").last.click()
    machines.get_by_role("button", name="Check guest1").click()
    expect(screen.dialog()).to_contain_text("This guest can run virtual machines of its own.")

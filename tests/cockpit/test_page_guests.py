# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the running machines have of nesting, and hosts in all situations."""

from __future__ import annotations

import pytest
from browser import Opener, expect, needs_situations

pytestmark = [pytest.mark.cockpit, needs_situations]

# A virsh for the simulated host, whose libvirt keeps live XML where the real one does.
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
    screen.shoot("guests")


def test_xml_of_a_running_guest_comes_from_libvirt(opened: Opener) -> None:
    opened.programs["virsh"] = VIRSH
    screen = opened("intel,guests=3")
    machines = screen.card("Machines")
    machines.get_by_role("button", name="Check guest3").click()
    expect(screen.dialog()).to_contain_text("This guest cannot run virtual machines of its own.")
    screen.dialog().get_by_role("button", name="Close").last.click()
    machines.get_by_role("button", name="Check guest1").click()
    expect(screen.dialog()).to_contain_text("This guest can run virtual machines of its own.")


@pytest.mark.parametrize(
    ("situation", "told"),
    [
        ("overridden", "Another file or the kernel command line beats"),
        ("cmdline", "Kernel command line"),
        ("builtin", "is built into the kernel"),
        ("missing", "This host has no KVM module with a parameter"),
        ("config-error", "the next load of kvm_intel would fail"),
    ],
)
def test_situation_is_told(opened: Opener, situation: str, told: str) -> None:
    screen = opened(f"intel,{situation}")
    expect(screen.card("Nested virtualization")).to_contain_text(told)
    screen.shoot(f"situation-{situation}")


@pytest.mark.parametrize("kind", ["amd", "power", "s390"])
def test_every_kind_of_host_can_be_changed(opened: Opener, kind: str) -> None:
    screen = opened(kind)
    card = screen.card("Nested virtualization")
    expect(card).to_contain_text("The kernel's default")
    was_on = screen.switch.is_checked()
    dialog = screen.ask_for_change()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_be_hidden()
    expect(screen.switch).to_be_checked(checked=not was_on)


def test_failed_load_is_rolled_back_and_told(opened: Opener) -> None:
    screen = opened("intel,load-fails")
    expect(screen.switch).to_be_checked()
    dialog = screen.ask_for_change()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog.locator(".pf-v6-c-alert.pf-m-danger")).to_be_visible()
    screen.shoot("load-fails")
    dialog.get_by_role("button", name="Cancel").click()
    expect(screen.switch).to_be_checked()
    expect(screen.card("History")).to_contain_text("Put back")


def test_steps_of_a_slow_change_are_watched(opened: Opener) -> None:
    screen = opened("intel,slow")
    dialog = screen.ask_for_change()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog.get_by_role("status")).to_contain_text("Loading the module")
    expect(dialog).to_be_hidden()
    expect(screen.switch).not_to_be_checked()


def test_history_says_what_was_changed_by_whom_and_how_it_ended(opened: Opener) -> None:
    screen = opened()
    history = screen.card("History")
    expect(history).to_contain_text("Nothing has been changed yet.")
    dialog = screen.ask_for_change()
    dialog.get_by_role("button", name="Apply").click()
    row = history.get_by_role("row").filter(has_text="Done")
    expect(row).to_contain_text("root")
    expect(row).to_contain_text("kvm_intel")

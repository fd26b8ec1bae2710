# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes that take time, fail or are refused, and their entries in the history."""

from __future__ import annotations

import pytest
from browser import Opener, Screen, expect

pytestmark = pytest.mark.cockpit


def _apply(screen: Screen) -> None:
    screen.ask_for_change().get_by_role("button", name="Apply").click()


@pytest.mark.parametrize("kind", ["amd", "power", "s390"])
def test_every_kind_of_host_can_be_changed(opened: Opener, kind: str) -> None:
    screen = opened(kind)
    card = screen.card("Nested virtualization")
    expect(card).to_contain_text("The kernel's default")
    was_on = screen.switch.is_checked()
    _apply(screen)
    expect(screen.dialog()).to_be_hidden()
    expect(screen.switch).to_be_checked(checked=not was_on)
    row = screen.card("History").get_by_role("row").filter(has_text="Done")
    expect(row).to_contain_text("root")
    expect(row).to_contain_text("kvm")


def test_failed_load_is_rolled_back_and_told(opened: Opener) -> None:
    screen = opened("intel,load-fails")
    expect(screen.switch).to_be_checked()
    _apply(screen)
    dialog = screen.dialog()
    expect(dialog.locator(".pf-v6-c-alert.pf-m-danger")).to_be_visible()
    screen.inspect("load-fails")
    dialog.get_by_role("button", name="Cancel").click()
    expect(screen.switch).to_be_checked()
    expect(screen.card("History")).to_contain_text("Put back")
    expect(screen.card("Nested virtualization")).to_contain_text("everything was put back")
    screen.inspect("rolled-back")


def test_module_that_cannot_be_loaded_again_is_told(opened: Opener) -> None:
    screen = opened("intel,rollback-fails")
    _apply(screen)
    dialog = screen.dialog()
    expect(dialog.locator(".pf-v6-c-alert.pf-m-danger")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(screen.card("Nested virtualization")).to_contain_text("kvm_intel is not loaded")
    expect(screen.card("History")).to_contain_text("Failed")
    screen.inspect("rollback-fails")


def test_steps_of_a_slow_change_are_watched(opened: Opener) -> None:
    screen = opened("intel,slow")
    _apply(screen)
    expect(screen.dialog().get_by_role("status")).to_contain_text("Loading the module")
    expect(screen.dialog()).to_be_hidden()
    expect(screen.switch).not_to_be_checked()

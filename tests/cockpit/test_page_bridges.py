# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page over the Python bridge of current Cockpit versions, and over the one in C."""

from __future__ import annotations

import pytest
from browser import Opener, expect
from newer_bridge import newer_bridge

pytestmark = pytest.mark.cockpit


def test_a_change_waits_is_shown_live_and_is_done(opened: Opener) -> None:
    screen = opened(bridge=newer_bridge())
    screen.nestd.start_machine("web01")
    expect(screen.card("Machines")).to_contain_text("web01")
    dialog = screen.ask_for_change()
    expect(dialog.get_by_role("radio", name="When no machine runs any more")).to_be_checked()
    expect(dialog.get_by_role("region", name="Change of the file")).to_contain_text("nested=0")
    dialog.get_by_role("button", name="Apply").click()
    card = screen.card("Nested virtualization")
    expect(card.get_by_role("list", name="In use by")).to_contain_text("web01")
    screen.nestd.end_machine("web01")
    expect(screen.switch).not_to_be_checked()
    expect(card).to_contain_text("what it runs with was verified")
    assert screen.errors == []


def test_refusal_shows_the_sentence_of_the_service(opened: Opener) -> None:
    screen = opened(bridge=newer_bridge())
    screen.nestd.start_machine("web01")
    expect(screen.card("Machines")).to_contain_text("web01")
    dialog = screen.ask_for_change()
    dialog.get_by_role("radio", name="Now", exact=True).check()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_contain_text("kvm_intel is in use by machine web01")


def test_page_survives_a_restart_of_the_service(opened: Opener) -> None:
    screen = opened(bridge=newer_bridge())
    expect(screen.switch).to_be_checked()
    screen.nestd.stop()
    expect(screen.page.get_by_role("heading", level=1)).to_have_text(
        "The nestd service is not running"
    )
    opened.start_again(screen)
    expect(screen.switch).to_be_checked()

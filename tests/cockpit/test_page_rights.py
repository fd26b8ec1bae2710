# SPDX-License-Identifier: LGPL-2.1-or-later
"""An unprivileged user's session: everything can be read, nothing changed."""

from __future__ import annotations

import pytest
from browser import Opener, expect
from users import nobody

pytestmark = pytest.mark.cockpit


def test_without_rights_everything_is_shown_and_nothing_can_be_changed(opened: Opener) -> None:
    screen = opened(user=nobody())
    expect(screen.switch).to_be_checked()
    expect(screen.switch).to_be_disabled()
    page = screen.page
    expect(page.get_by_text("You can look at everything here, but not change it.")).to_be_visible()
    expect(screen.card("Module parameters")).to_contain_text("enable_shadow_vmcs")
    expect(page.get_by_role("button", name="Change nested of kvm_intel")).to_have_count(0)
    expect(page.get_by_role("button", name="Collect for support")).to_have_count(0)
    screen.nestd.start_machine("web01")
    expect(screen.card("Machines")).to_contain_text("web01")
    screen.inspect("without-rights")


def test_offer_of_administrative_access_says_where_there_is_none(opened: Opener) -> None:
    screen = opened(user=nobody())
    screen.page.get_by_role("button", name="Turn on administrative access").click()
    dialog = screen.dialog()
    expect(dialog).to_contain_text("Administrative access")
    expect(dialog.locator(".pf-v6-c-alert.pf-m-danger")).to_be_visible()
    screen.inspect("administrative-access")
    dialog.get_by_role("button", name="Close").last.click()
    expect(dialog).to_be_hidden()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page within Cockpit's shell, and the badge for other pages."""

from __future__ import annotations

import re

import pytest
from browser import Opener, expect
from page import CHECKOUT

pytestmark = pytest.mark.cockpit

BADGE = """<!DOCTYPE html><html lang="en"><head><title>Badge</title>
<script src="../base1/cockpit.js"></script></head>
<body><span id="nested-badge"></span><script src="badge.js"></script></body></html>"""


def test_page_is_in_the_menu_of_cockpit(opened: Opener) -> None:
    screen = opened()
    expect(screen.switch).to_be_checked()
    page = screen.page
    page.goto(f"{screen.server}/nestd")
    expect(page.get_by_role("link", name="Virtualization host")).to_be_visible()
    frame = page.frame_locator("iframe[name='cockpit1:localhost/nestd']")
    expect(frame.get_by_role("switch", name="Nested virtualization")).to_be_checked()
    screen.shoot("in-cockpit")


def test_badge_of_the_documentation_works(opened: Opener) -> None:
    text = (CHECKOUT / "CONTRIBUTING.md").read_text().partition("## A badge for other pages")[2]
    [snippet] = re.findall(r"```javascript\n(.*?)```", text, re.DOTALL)
    opened.pages["badge"] = {"index.html": BADGE, "badge.js": snippet, "manifest.json": "{}"}
    screen = opened()
    expect(screen.switch).to_be_checked()
    screen.page.goto(f"{screen.server}/cockpit/@localhost/badge/index.html")
    expect(screen.page.locator("#nested-badge")).to_contain_text("nested virtualization")

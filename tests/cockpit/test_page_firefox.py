# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page in Debian's Firefox: all of its cards, a change and a debug session."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import PAGE, Opener
from firefox import running_firefox

pytestmark = pytest.mark.cockpit

CARDS = {
    "Nested virtualization": "The kernel's default",
    "Machines": "Has run machines",
    "Checks": "This host is fit for nested virtualization.",
    "Module parameters": "ple_gap",
    "Debug logs": "libvirt's default",
    "History": "Nothing has been changed yet.",
}
SWITCH = "//input[@role='switch']"
DIALOG = "//*[@role='dialog']"
TIMER = "//*[@role='timer']"


def _card(title: str) -> str:
    return f"//section[@aria-labelledby=//*[normalize-space()='{title}']/@id]"


def _button(name: str) -> str:
    return f"//button[normalize-space()='{name}']"


def test_whole_page_in_firefox(opened: Opener, tmp_path: Path) -> None:
    nestd = opened.start("intel,guests=2")
    url = opened.serve(nestd) + PAGE
    with running_firefox(tmp_path) as firefox:
        firefox.navigate(url)
        for title, words in CARDS.items():
            firefox.wait(_card(title), words)
        assert firefox.violations() == []
        firefox.shoot("firefox")
        for guest in ("guest1", "guest2"):
            nestd.end_machine(guest)
        firefox.wait(_card("Machines"), "No virtual machine runs")
        firefox.click(SWITCH)
        firefox.wait(DIALOG, "nested=0")
        assert firefox.violations() == []
        firefox.shoot("firefox-dialog")
        firefox.click(DIALOG + _button("Apply"))
        firefox.wait(DIALOG, gone=True)
        firefox.wait(_card("Nested virtualization"), "what it runs with was verified")
        firefox.wait(_card("History"), "nested=0 (now)")
        firefox.click(f"({_button('Debug for some time')})[1]")
        firefox.wait(DIALOG, "Length")
        firefox.click(DIALOG + _button("Start"))
        firefox.wait(TIMER, "Ends in")
        firefox.shoot("firefox-debug-session")
        firefox.click(_button("Stop"))
        firefox.wait(TIMER, gone=True)
    assert "nested=0" in nestd.kvm_conf.read_text()

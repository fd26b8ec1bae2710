# SPDX-License-Identifier: LGPL-2.1-or-later
"""The other cards, and the page as a whole: languages, widths, keyboard, screen readers."""

from __future__ import annotations

import itertools
import re

import pytest
from browser import NARROW, WIDE, Opener, Screen, View, expect

pytestmark = pytest.mark.cockpit

CARDS = ("Machines", "Checks", "Module parameters", "Debug logs", "History")
DENIED = """<domain type='kvm'><name>web01</name><os><type arch='x86_64'>hvm</type></os>
<cpu mode='custom'><model>Haswell</model><feature policy='disable' name='vmx'/></cpu></domain>"""


def test_machines_come_and_go(opened: Opener) -> None:
    screen = opened()
    card = screen.card("Machines")
    expect(card).to_contain_text("No virtual machine runs")
    screen.nestd.start_machine("web01")
    row = card.get_by_role("row").filter(has_text="web01")
    expect(row).to_contain_text("qemu-kvm")
    screen.nestd.end_machine("web01")
    expect(card).to_contain_text("No virtual machine runs")


def test_xml_of_a_guest_is_checked_and_the_remedy_can_be_copied(opened: Opener) -> None:
    screen = opened()
    screen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    screen.card("Machines").get_by_role("button", name="Check a guest's XML").click()
    dialog = screen.dialog()
    dialog.get_by_role("textbox", name="Domain XML of libvirt").fill(DENIED)
    dialog.get_by_role("button", name="Check", exact=True).click()
    expect(dialog).to_contain_text("This guest cannot run virtual machines of its own.")
    expect(dialog).to_contain_text("The guest is denied vmx (policy disable).")
    dialog.get_by_role("button", name="Copy").first.click()
    copied = screen.page.evaluate("navigator.clipboard.readText()")
    assert copied == "<feature policy='require' name='vmx'/>"
    screen.inspect("guest-check")
    dialog.get_by_role("textbox", name="Domain XML of libvirt").fill("<nonsense")
    dialog.get_by_role("button", name="Check", exact=True).click()
    expect(dialog.locator(".pf-v6-c-alert.pf-m-danger")).to_be_visible()
    screen.inspect("guest-check-refused")


def test_checks_follow_the_host_worst_first(opened: Opener) -> None:
    screen = opened()
    card = screen.card("Checks")
    expect(card).to_contain_text("This host is fit for nested virtualization.")
    conf = screen.nestd.root / "etc/modprobe.d/zz-other.conf"
    conf.write_text("options kvm_intel nested=0\n")
    problems = card.get_by_role("list", name="Problems")
    expect(problems).to_contain_text("zz-other.conf:1")
    screen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    problems.get_by_role("button", name="Copy").first.click()
    expect(problems.get_by_role("button", name="Copied")).to_be_visible()
    assert "nestctl" in screen.page.evaluate("navigator.clipboard.readText()")
    conf.write_text("options kvm_intel nested=maybe\n")
    expect(problems.get_by_role("listitem").first.get_by_role("img", name="Failed")).to_be_visible()
    card.get_by_role("button", name="checks passed").click()
    expect(card.get_by_role("list", name="Passed checks")).to_contain_text("Intel VT-x")


def test_parameter_is_changed_through_the_same_dialog(opened: Opener) -> None:
    screen = opened()
    card = screen.card("Module parameters")
    row = card.get_by_role("row").filter(has_text="ple_gap")
    expect(row).to_contain_text("128")
    row.get_by_role("button", name="Change ple_gap of kvm_intel").click()
    dialog = screen.dialog()
    dialog.get_by_role("textbox", name="Value").fill("lots")
    expect(dialog.locator(".pf-v6-c-alert.pf-m-danger")).to_be_visible()
    expect(dialog.get_by_role("button", name="Apply")).to_be_disabled()
    screen.inspect("parameter-refused")
    dialog.get_by_role("textbox", name="Value").fill("64")
    expect(dialog.get_by_role("region", name="Change of the file")).to_contain_text("ple_gap=64")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_be_hidden()
    expect(row.get_by_role("gridcell", name="64", exact=True)).to_have_count(2)
    expect(row).to_contain_text("/etc/modprobe.d/kvm.conf:")


def test_page_survives_a_restart_of_the_service(opened: Opener) -> None:
    screen = opened()
    expect(screen.switch).to_be_checked()
    screen.nestd.stop()
    page = screen.page
    expect(page.get_by_role("heading", name="The nestd service is not running")).to_be_visible()
    expect(page.get_by_role("button", name="Start nestd")).to_be_visible()
    screen.inspect("absent")
    opened.start_again(screen)
    expect(screen.switch).to_be_checked()
    screen.nestd.start_machine("web01")
    expect(screen.card("Machines")).to_contain_text("web01")


def test_page_survives_a_restart_of_the_bus(opened: Opener) -> None:
    screen = opened()
    expect(screen.switch).to_be_checked()
    opened.restart_bus(screen)
    expect(screen.switch).to_be_checked()
    screen.nestd.start_machine("web01")
    expect(screen.card("Machines")).to_contain_text("web01")


@pytest.mark.parametrize(
    ("language", "title", "switch"),
    [
        ("de-DE", "Virtualisierungsrechner", "Verschachtelte Virtualisierung"),
        ("zh-CN", "虚拟化主机", "嵌套虚拟化"),
    ],
)
def test_page_speaks(opened: Opener, language: str, title: str, switch: str) -> None:
    screen = opened(view=View(language=language))
    expect(screen.page.get_by_role("heading", level=1)).to_have_text(title)
    expect(screen.page.get_by_role("switch", name=switch)).to_be_checked()
    assert screen.page.evaluate("document.documentElement.lang") == language.replace("-DE", "")
    screen.inspect(f"language-{language}")


def test_light_dark_wide_and_narrow(opened: Opener) -> None:
    screen = opened("intel,guests=2", View(WIDE))
    page = screen.page
    expect(screen.card("Machines")).to_contain_text("guest2")
    expect(screen.card("Debug logs")).to_contain_text("libvirt's default")
    for (width, height), dark in itertools.product((WIDE, NARROW), (False, True)):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        name = f"{'dark' if dark else 'light'}-{width}"
        dark_class = re.compile("pf-v6-theme-dark")
        html = expect(page.locator("html"))
        (html.to_have_class if dark else html.not_to_have_class)(dark_class)
        for card in CARDS:
            screen.card(card).scroll_into_view_if_needed()
            screen.shoot(f"{name}-{card}")
        screen.inspect(f"page-{name}")
        screen.ask_for_change()
        expect(screen.dialog().get_by_role("list", name="Steps")).to_be_visible()
        screen.inspect(f"dialog-{name}")
        page.keyboard.press("Escape")
        expect(screen.dialog()).to_be_hidden()


def test_everything_by_keyboard(opened: Opener) -> None:
    screen = opened()
    keyboard = screen.page.keyboard
    expect(screen.switch).to_be_checked()
    _tab_to(screen, "Nested virtualization")
    keyboard.press("Space")
    dialog = screen.dialog()
    expect(dialog.get_by_role("radio", name="Now", exact=True)).to_be_checked()
    _tab_to(screen, "Now")
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    expect(dialog.get_by_role("radio", name="At the next boot")).to_be_checked()
    expect(dialog.get_by_role("button", name="Apply")).to_be_enabled()
    _tab_to(screen, "Apply")
    keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(screen.card("Nested virtualization")).to_contain_text("kvm.conf:")
    assert "nested=0" in screen.nestd.kvm_conf.read_text()


def _tab_to(screen: Screen, name: str) -> None:
    """Press Tab until the focused element has that name."""
    focused = (
        "() => { const e = document.activeElement; return e.getAttribute('aria-label')"
        " || (e.labels && e.labels[0] ? e.labels[0].textContent : e.textContent); }"
    )
    for _ in range(60):
        screen.page.keyboard.press("Tab")
        if screen.page.evaluate(focused).strip() == name:
            return
    raise AssertionError(f"{name} cannot be reached with Tab")

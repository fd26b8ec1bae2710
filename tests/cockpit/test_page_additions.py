# SPDX-License-Identifier: LGPL-2.1-or-later
"""Version 1.1's additions on the page: obstacles, risks, and unreadable values."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from browser import Opener, Screen, expect

pytestmark = pytest.mark.cockpit

MODPROBE_D = "etc/modprobe.d/zz-site.conf"
# The content of a file in modprobe.d, and the page's text about it.
OBSTACLES: Mapping[str, str] = {
    "blacklist kvm_intel": "kvm_intel is not loaded at boot: a blacklist names it.",
    "install kvm_intel /bin/true": "modprobe runs a command in place of loading kvm_intel.",
    "alias kvm_intel off": "An alias makes modprobe load something else than kvm_intel.",
    "options kvm_intel nosuch=1": "A parameter that kvm_intel does not have is set.",
    "options kvm_intel nested=maybe": "kvm_intel would refuse one of its values.",
    "install kvm /bin/true": "A module that kvm_intel needs would not be loaded.",
}


def test_each_obstacle_of_the_next_load_is_told_with_its_line(opened: Opener) -> None:
    screen = opened()
    card = screen.card("Nested virtualization")
    file = screen.nestd.root / MODPROBE_D
    for line, words in OBSTACLES.items():
        file.write_text(f"# of this site\n{line}\n")
        expect(card).to_contain_text(words)
        place = card.get_by_role("button", name=f"/{MODPROBE_D}:2").first
        expect(place).to_be_visible()
    cmdline = screen.nestd.root / "proc/cmdline"
    file.unlink()
    expect(card).not_to_contain_text("kvm_intel needs")
    cmdline.write_text("root=/dev/sda1 module_blacklist=kvm_intel\n")
    # Nothing signals a change of the command line: it shows with the next event.
    file.write_text("# of this site\n")
    expect(card).to_contain_text("The kernel command line forbids loading kvm_intel.")
    screen.inspect("obstacle")


def test_file_that_stops_modprobe_is_told(opened: Opener) -> None:
    screen = opened()
    card = screen.card("Nested virtualization")
    expect(screen.switch).to_be_checked()
    os.mkfifo(screen.nestd.root / MODPROBE_D)
    expect(card).to_contain_text("modprobe would stop at a file before it loads kvm_intel.")
    expect(card).to_contain_text(f"/{MODPROBE_D}")
    expect(screen.card("Checks").get_by_role("list", name="Problems")).to_contain_text(MODPROBE_D)
    screen.inspect("obstacle-file")


def test_risks_of_nesting_are_told(opened: Opener) -> None:
    screen = opened()
    card = screen.card("Checks")
    title = "Security of nested virtualization on this host"
    card.get_by_role("button", name=title).click()
    findings = card.get_by_role("list", name=title)
    expect(findings).to_contain_text("/dev/kvm")
    screen.inspect("posture")


def test_what_cannot_be_read_is_told_and_not_taken_for_off(opened: Opener) -> None:
    screen = opened()
    expect(screen.switch).to_be_checked()
    card = screen.card("Nested virtualization")
    with _unreadable(screen):
        expect(card).to_contain_text("What runs cannot be read")
        expect(card).not_to_contain_text("Off")
        screen.inspect("unreadable")


@contextmanager
def _unreadable(screen: Screen) -> Iterator[None]:
    """Make the parameter a directory, which cannot be read as a value."""
    nested = screen.nestd.root / "sys/module/kvm_intel/parameters/nested"
    nested.unlink()
    nested.mkdir()
    (screen.nestd.root / MODPROBE_D).write_text("# something happens\n")
    yield
    shutil.rmtree(nested)


def test_daemon_that_a_socket_starts_says_so(opened: Opener) -> None:
    screen = opened("intel,socket-activated")
    daemon = screen.card("Debug logs").get_by_role("article", name="virtqemud")
    expect(daemon).to_contain_text("Starts when it is needed")
    expect(daemon).not_to_contain_text("Logs now")
    screen.nestd.root.joinpath("etc/libvirt/virtqemud.conf").write_text(
        'log_filters = "1:qemu"\nlog_outputs = "3:stderr"\n'
    )
    expect(daemon).to_contain_text("No output shows the debug messages of 1:qemu")


def test_history_has_what_others_did(opened: Opener) -> None:
    screen = opened()
    history = screen.card("History")
    expect(history).to_contain_text("Nothing has been changed yet.")
    with screen.nestd.root.joinpath("etc/libvirt/virtqemud.conf").open("a") as file:
        file.write('log_filters = "3:remote"\n')
    expect(history).to_contain_text("the file was edited: filters: 3:remote")
    expect(history).to_contain_text("Somebody else, not through nestd")

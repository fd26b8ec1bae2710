# SPDX-License-Identifier: LGPL-2.1-or-later
"""The card on nested virtualization: its text, and a change through the dialog."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import Opener, Screen, expect
from page import BRIDGE_IN_C, Bridge

pytestmark = pytest.mark.cockpit


def test_change_now(opened: Opener) -> None:
    screen = opened()
    expect(screen.switch).to_be_checked()
    dialog = screen.ask_for_change()
    expect(dialog.get_by_role("radio", name="Now", exact=True)).to_be_checked()
    expect(dialog.get_by_role("region", name="Change of the file")).to_contain_text("nested=0")
    steps = dialog.get_by_role("list", name="Steps")
    expect(steps).to_contain_text("write /etc/modprobe.d/kvm.conf")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_be_hidden()
    expect(screen.switch).not_to_be_checked()
    card = screen.card("Nested virtualization")
    expect(card).to_contain_text("what it runs with was verified")
    expect(card.get_by_role("button", name="/etc/modprobe.d/kvm.conf:")).to_be_visible()
    assert "nested=0" in screen.nestd.kvm_conf.read_text()


def test_cancel_changes_nothing(opened: Opener) -> None:
    screen = opened()
    before = screen.nestd.kvm_conf.read_bytes()
    dialog = screen.ask_for_change()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    expect(screen.switch).to_be_checked()
    assert screen.nestd.kvm_conf.read_bytes() == before


def test_while_a_machine_runs_the_change_waits_for_it(opened: Opener) -> None:
    screen = opened()
    screen.nestd.start_machine("web01")
    card = screen.card("Nested virtualization")
    _wait_when_idle(screen)
    expect(card).to_contain_text("web01")
    expect(screen.switch).to_be_checked()
    screen.nestd.start_machine("db01")
    expect(card.get_by_role("list", name="In use by")).to_contain_text("db01")
    screen.inspect("waiting")
    screen.nestd.end_machine("web01")
    expect(card.get_by_role("list", name="In use by")).not_to_contain_text("web01")
    screen.nestd.end_machine("db01")
    expect(screen.switch).not_to_be_checked()
    expect(card).to_contain_text("what it runs with was verified")


def _wait_when_idle(screen: Screen) -> None:
    expect(screen.card("Machines")).to_contain_text("web01")
    dialog = screen.ask_for_change()
    expect(dialog.get_by_role("radio", name="When no machine runs any more")).to_be_checked()
    expect(dialog.get_by_role("list", name="In use by")).to_contain_text("web01")
    screen.inspect("dialog")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_be_hidden()
    expect(screen.card("Nested virtualization")).to_contain_text("waits until nothing uses it")


def test_waiting_change_can_be_given_up(opened: Opener) -> None:
    screen = opened()
    screen.nestd.start_machine("web01")
    _wait_when_idle(screen)
    card = screen.card("Nested virtualization")
    card.get_by_role("button", name="Give up").click()
    expect(card).to_contain_text("The reload was given up")
    expect(card).to_contain_text("other values than its next load")
    expect(screen.switch).to_be_checked()


def test_refusal_shows_the_sentence_of_the_service(opened: Opener) -> None:
    screen = opened()
    screen.nestd.start_machine("web01")
    expect(screen.card("Machines")).to_contain_text("web01")
    dialog = screen.ask_for_change()
    dialog.get_by_role("radio", name="Now", exact=True).check()
    expect(dialog).to_contain_text("this would be refused")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_contain_text("kvm_intel is in use by machine web01")
    screen.inspect("refused")
    expect(dialog.get_by_role("button", name="Apply")).to_be_enabled()
    assert "nested=0" not in screen.nestd.kvm_conf.read_text()


def test_plan_follows_what_happens_while_the_dialog_is_open(opened: Opener) -> None:
    screen = opened()
    dialog = screen.ask_for_change()
    expect(dialog.get_by_role("radio", name="Now", exact=True)).to_be_checked()
    screen.nestd.start_machine("web01")
    expect(dialog.get_by_role("list", name="In use by")).to_contain_text("web01")
    screen.nestd.end_machine("web01")
    expect(dialog.get_by_role("list", name="In use by")).to_be_hidden()
    dialog.get_by_role("button", name="Apply").click()
    expect(screen.switch).not_to_be_checked()


def test_at_the_next_boot_only_writes(opened: Opener) -> None:
    screen = opened()
    dialog = screen.ask_for_change()
    dialog.get_by_role("radio", name="At the next boot").check()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_be_hidden()
    expect(screen.switch).to_be_checked()
    expect(screen.card("Nested virtualization")).to_contain_text("other values than its next load")
    assert "options kvm_intel nested=0" in screen.nestd.kvm_conf.read_text()


def test_edit_by_hand_is_shown_and_its_line_opened(opened: Opener, tmp_path: Path) -> None:
    screen = opened(bridge=_bridge_on_the_simulated_host(tmp_path))
    other = screen.nestd.root / "etc/modprobe.d/zz-other.conf"
    other.write_text("# by hand\noptions kvm_intel nested=0\n")
    card = screen.card("Nested virtualization")
    card.get_by_role("button", name="/etc/modprobe.d/zz-other.conf:2").click()
    dialog = screen.dialog()
    expect(dialog.locator("mark")).to_have_text("options kvm_intel nested=0")
    expect(dialog).to_contain_text("# by hand")
    screen.inspect("lines")
    screen.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def _bridge_on_the_simulated_host(directory: Path) -> Bridge:
    """A bridge whose session sees the simulated host's /etc/modprobe.d."""
    program = directory / "bridge"
    mount = 'mount --bind "$SIMULATED_ROOT/etc/modprobe.d" /etc/modprobe.d'
    run = f'exec {BRIDGE_IN_C.program} "$@"'
    program.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{mount} && {run}' sh \"$@\"\n")
    program.chmod(0o755)
    return Bridge(str(program))


def test_overridden_change_is_refused_with_the_winner(opened: Opener) -> None:
    screen = opened("intel,overridden")
    expect(screen.card("Nested virtualization")).to_contain_text("/etc/modprobe.d/site.conf:2")
    dialog = screen.ask_for_change()
    expect(dialog).to_contain_text("this would be refused")
    expect(dialog).to_contain_text("/etc/modprobe.d/site.conf:2")
    dialog.get_by_role("button", name="Apply").click()
    refusal = dialog.locator(".pf-v6-c-alert.pf-m-danger")
    expect(refusal).to_contain_text("change it there")
    screen.inspect("overridden-refused")
    dialog.get_by_role("button", name="Cancel").click()
    expect(screen.switch).not_to_be_checked()


def test_apply_waits_for_the_plan_of_what_is_chosen(opened: Opener) -> None:
    screen = opened()
    dialog = screen.ask_for_change()
    apply = dialog.get_by_role("button", name="Apply")
    expect(apply).to_be_enabled()
    os.kill(screen.nestd.process.pid, signal.SIGSTOP)  # its plan takes a while
    dialog.get_by_role("radio", name="At the next boot").check()
    expect(apply).to_be_disabled()
    os.kill(screen.nestd.process.pid, signal.SIGCONT)
    apply.click()
    expect(dialog).to_be_hidden()
    expect(screen.switch).to_be_checked()


def test_inhibitor_comes_and_goes_in_the_plan(opened: Opener) -> None:
    screen = opened()
    dialog = screen.ask_for_change()
    expect(dialog.get_by_role("radio", name="Now", exact=True)).to_be_checked()
    blockers = dialog.get_by_role("list", name="In use by")
    expect(blockers).to_be_hidden()
    with _inhibited(screen, who="backup"):
        expect(blockers).to_contain_text("backup")
        screen.inspect("inhibited")
    expect(blockers).to_be_hidden()


@contextmanager
def _inhibited(screen: Screen, who: str) -> Iterator[None]:
    nestctl = str(Path(sys.executable).with_name("nestctl"))
    command = [nestctl, "inhibit", "--who", who, "--why", "copies disks", "--", "sleep", "600"]
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": screen.nestd.address}
    # In its own session, so that nestctl and its program end together.
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

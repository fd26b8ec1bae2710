# SPDX-License-Identifier: LGPL-2.1-or-later
"""The card on debug logs, over the daemons of a simulated libvirt."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest
from browser import Opener, Screen, expect

pytestmark = pytest.mark.cockpit


def _daemon(screen: Screen, name: str) -> object:
    return screen.card("Debug logs").get_by_role("article", name=name)


def test_debug_session_counts_down_grows_and_is_stopped(opened: Opener) -> None:
    screen = opened()
    daemon = _daemon(screen, "virtqemud")
    daemon.get_by_role("button", name="Debug for some time").click()
    dialog = screen.dialog()
    expect(dialog.get_by_role("combobox", name="Filters")).to_have_value("qemu")
    dialog.get_by_role("combobox", name="Length").select_option(label="1 minute")
    screen.inspect("debug-dialog")
    dialog.get_by_role("button", name="Start").click()
    expect(dialog).to_be_hidden()
    timer = daemon.get_by_role("timer")
    expect(timer).to_contain_text("Ends in")
    before = timer.text_content()
    expect(timer).not_to_have_text(before)
    expect(daemon).to_contain_text("KB written")
    expect(daemon).to_contain_text("virtqemud-debug.log")
    screen.inspect("debug-session")
    daemon.get_by_role("button", name="Stop").click()
    expect(timer).to_be_hidden()


def test_filters_are_checked_as_they_are_typed_and_set(opened: Opener) -> None:
    screen = opened()
    daemon = _daemon(screen, "virtqemud")
    daemon.get_by_role("button", name="Set filters").click()
    dialog = screen.dialog()
    filters = dialog.get_by_role("textbox", name="Filters")
    filters.fill("9:nonsense")
    expect(dialog.locator(".pf-v6-c-alert.pf-m-danger")).to_be_visible()
    expect(dialog.get_by_role("button", name="Apply")).to_be_disabled()
    screen.inspect("filters-refused")
    filters.fill("3:nosuch 3:remote")
    expect(dialog).to_contain_text("3:nosuch matches no known category of libvirt.")
    expect(dialog.get_by_role("region", name="Change of the file")).to_contain_text("3:nosuch")
    screen.inspect("filters-dialog")
    filters.fill("3:remote")
    expect(dialog.get_by_role("radio", name="Now, and from its next start")).to_be_checked()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_be_hidden()
    expect(daemon).to_contain_text("3:remote")
    assert '"3:remote"' in (screen.nestd.root / "etc/libvirt/virtqemud.conf").read_text()


def test_support_archive_is_downloaded(opened: Opener) -> None:
    program = Path(sys.executable).with_name("nestctl")
    opened.programs["nestctl"] = f'#!/bin/sh\nexec {program} "$@"\n'
    screen = opened()
    with screen.page.expect_download() as download:
        screen.page.get_by_role("button", name="Collect for support").click()
    data = Path(download.value.path()).read_bytes()
    assert download.value.suggested_filename.endswith(".tar.gz")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert any("libvirt" in name for name in archive.getnames())

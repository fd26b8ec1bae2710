# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl log ... --dry-run shows what the same command does without it, errors included."""

from __future__ import annotations

import json
from typing import Any

import pytest
from run_nestctl import nestctl
from running_nestd import Nestd

DEBUG = ("log", "debug", "virtqemud", "1:qemu")
SET = ("log", "set", "virtqemud", "3:qemu")


def _json(nestd: Nestd, *words: str) -> Any:
    return json.loads(nestctl(nestd.address, *words, "--json").out)


def test_a_session_that_begins_goes_on_and_ends(intel: Nestd) -> None:
    dry_run = _json(intel, *DEBUG, "--dry-run")
    assert (dry_run["changed"], dry_run["warnings"]) == (True, [])
    assert dry_run["log_daemon"]["debug_until"] == 0
    assert _json(intel, *DEBUG, "--no-wait")["debug_filters"] == "1:qemu"
    assert _json(intel, *DEBUG, "--dry-run")["changed"] is False
    assert _json(intel, "log", "debug", "virtqemud", "1:rpc", "--dry-run")["changed"] is True
    stopped = _json(intel, "log", "debug", "virtqemud", "--stop", "--dry-run")
    assert stopped["changed"] is True
    assert stopped["log_daemon"]["debug_until"] > 0
    assert _json(intel, "log", "debug", "virtqemud", "--stop")["changed"] is True
    assert _json(intel, "log", "debug", "virtqemud", "--stop", "--dry-run")["changed"] is False


def test_in_words(intel: Nestd) -> None:
    assert nestctl(intel.address, *DEBUG, "--dry-run").out == "virtqemud would write debug logs.\n"
    nestctl(intel.address, *DEBUG, "--no-wait")
    said = nestctl(intel.address, *DEBUG, "--dry-run").out
    assert said == "virtqemud writes these debug logs already: nothing to do.\n"
    said = nestctl(intel.address, "log", "debug", "virtqemud", "--stop", "--dry-run").out
    assert said == "virtqemud would have its previous log settings again.\n"


@pytest.mark.parametrize(
    "more",
    [("--for", "8d"), ("--clear",), ("--outputs", "1:file:/var/log/libvirt/no/x"), ("x",)],
    ids=["too-long", "none", "no-directory", "no-filter"],
)
def test_a_session_is_refused_alike(intel: Nestd, more: tuple[str, ...]) -> None:
    words = ("log", "debug", "virtqemud", *more)
    dry_run, done = (_json(intel, *words, each) for each in ("--dry-run", "--no-wait"))
    assert dry_run["error"] == done["error"]


def test_filters_that_are_set_and_are_set_already(intel: Nestd) -> None:
    assert _json(intel, *SET, "--dry-run")["changed"] is True
    assert _json(intel, *SET, "--dry-run", "--runtime")["changed"] is True
    _json(intel, *SET)
    for when in ("--now", "--runtime", "--at-start"):
        assert _json(intel, *SET, "--dry-run", when)["changed"] is False
    assert _json(intel, "log", "set", "virtqemud", "3:rpc", "--dry-run")["changed"] is True


def test_filters_are_refused_alike_while_a_session_runs(intel: Nestd) -> None:
    nestctl(intel.address, *DEBUG, "--no-wait")
    for when in ("--now", "--runtime"):
        dry_run, done = _json(intel, *SET, when, "--dry-run"), _json(intel, *SET, when)
        assert dry_run["error"] == done["error"]
        assert done["error"]["name"] == "org.nestd1.Error.Busy"
    assert _json(intel, *SET, "--at-start", "--dry-run")["changed"] is True


def test_an_archive_is_not_collected(intel: Nestd) -> None:
    path = intel.root / "support.tar.gz"
    found = _json(intel, "log", "collect", "-o", str(path), "--dry-run")
    assert found == {"archive": str(path), "bytes": None}
    assert not path.exists()
    assert "would be written" in nestctl(intel.address, "log", "collect", "--dry-run").out

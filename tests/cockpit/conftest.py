# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page, built once, a browser for all tests, and a host for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import tiers
from browser import LOADED, Opener, expect, sync_playwright
from page import build


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("page") / "dist")


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    expect.set_options(timeout=LOADED)
    with sync_playwright() as playwright:
        program = shutil.which("chromium", path=tiers.SEARCH_PATH)
        # Without a sandbox: root runs the tests, and Chromium's sandbox refuses root.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: object, dist: Path, tmp_path: Path) -> Iterator[Opener]:
    screens = ExitStack()
    with screens:
        yield Opener(screens, browser, dist, tmp_path)

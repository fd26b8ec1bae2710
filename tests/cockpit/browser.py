# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page in a browser: a session, and an opener of sessions on hosts of all kinds."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tiers
from page import BRIDGE_IN_C, CHECKOUT, SOURCE, Bridge, cockpit
from private_bus import PrivateBus, private_bus
from running_nestd import Nestd, running_nestd

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # the tier "cockpit" then reports it
    expect = sync_playwright = None

SHOTS = CHECKOUT / ".cache/cockpit"
AXE = SOURCE / "node_modules/axe-core/axe.min.js"
# Elements that extend beyond the right edge, except inside scrollable ones.
WIDER = """[...document.querySelectorAll('body *')]
    .filter((each) => each.getBoundingClientRect().right > window.innerWidth + 1)
    .filter((each) => !each.closest('.nestd-text, .pf-v6-screen-reader'))
    .map((each) => each.outerHTML.slice(0, 200))"""
PAGE = "/cockpit/@localhost/nestd/index.html"
WIDE, NARROW = (1100, 1000), (320, 800)
LOADED = 45_000  # milliseconds for a page or an answer on a busy machine


@dataclass
class Screen:
    """A browser session with the page, and the host that it shows."""

    page: Any
    nestd: Nestd
    server: str
    errors: list[str] = field(default_factory=list)

    @property
    def switch(self) -> Any:
        return self.page.get_by_role("switch", name="Nested virtualization")

    def card(self, title: str) -> Any:
        return self.page.get_by_role("region", name=title, exact=True)

    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")

    def ask_for_change(self) -> Any:
        """Flip the switch: a dialog shows the plan, and nothing changes yet."""
        self.switch.click()
        return self.dialog()

    def shoot(self, name: str) -> None:
        """Save a screenshot of the page for inspection: .cache/cockpit/NAME.png."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", animations="disabled")

    def inspect(self, name: str) -> None:
        """Save a screenshot; the page must be accessible, and nothing may be cut off."""
        self.shoot(name)
        faults = violations(self.page) + self.page.evaluate(WIDER) + self.errors
        assert faults == [], "\n".join(faults)


def violations(page: Any) -> list[str]:
    """The violations that axe-core finds on the page in its current state."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"() => {{ {AXE.read_text()} }}")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        json.dumps([each["id"], each["help"], [node["html"] for node in each["nodes"]]])
        for each in found["violations"]
    ]


@dataclass(frozen=True)
class View:
    """The viewer's settings: how a person views the page."""

    size: tuple[int, int] = WIDE
    dark: bool = False
    language: str = "en-US"


class Opener:
    """Starts hosts and opens the page on them; everything ends with the test."""

    def __init__(self, stack: ExitStack, browser: Any, dist: Path, directory: Path) -> None:
        self._stack = stack
        self._browser = browser
        self._dist = dist
        self._directory = directory
        self._arguments: tuple[str, ...] = ()
        # Scripts by name, first on the session's PATH.
        self.programs: dict[str, str] = {}
        self._environment: dict[str, str] = {}
        # Other pages: name to files.
        self.pages: dict[str, dict[str, str]] = {}
        # A link, so that another bus can replace the first.
        self._public = Path(stack.enter_context(TemporaryDirectory(prefix="nestd-page-")))
        self._public.chmod(0o755)
        self._link = self._public / "bus"

    def __call__(
        self,
        kind: str = "intel",
        view: View = View(),
        *,
        bridge: Bridge = BRIDGE_IN_C,
        user: int = 0,
    ) -> Screen:
        """The page on a fresh simulated host, --simulate KIND."""
        nestd = self.start(kind)
        url = self.serve(nestd, bridge=bridge, user=user)
        return self._show(nestd, url, view)

    def run_before_nestd(self, code: str) -> None:
        """Make the next nestd that is started run that Python code first."""
        folder = self._directory / "first"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(code)
        self._environment["PYTHONPATH"] = f"{folder}:{CHECKOUT}"

    def start(self, kind: str) -> Nestd:
        """Start nestd on a private bus."""
        bus = self._start_bus()
        self._arguments = ("--simulate", kind)
        return self._run(bus.address)

    def serve(self, nestd: Nestd, *, bridge: Bridge = BRIDGE_IN_C, user: int = 0) -> str:
        """Start Cockpit with the page for one browser session; returns its address."""
        home = self._public / "home"
        home.mkdir()
        for name, text in self.programs.items():
            program = self._public / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(text)
            program.chmod(0o755)
        for name, files in self.pages.items():
            folder = home / "data/cockpit" / name
            folder.mkdir(parents=True)
            for file, text in files.items():
                (folder / file).write_text(text)
        variables = {
            "PATH": f"{self._public}/bin:{tiers.SEARCH_PATH}",
            "SIMULATED_ROOT": str(nestd.root),
            **bridge.environment,
        }
        bridge = Bridge(bridge.program, variables)
        address = f"unix:path={self._link}"
        served = cockpit(address, self._dist, home, bridge=bridge, user=user)
        return self._stack.enter_context(served)

    def _show(self, nestd: Nestd, url: str, view: View) -> Screen:
        context = self._browser.new_context(
            viewport={"width": view.size[0], "height": view.size[1]},
            color_scheme="dark" if view.dark else "light",
            reduced_motion="reduce",
            locale=view.language,
        )
        self._stack.callback(context.close)
        context.set_default_timeout(LOADED)
        language = view.language.lower() if view.language == "zh-CN" else view.language[:2]
        context.add_cookies([{"name": "CockpitLang", "value": language, "url": url}])
        page = context.new_page()
        screen = Screen(page, nestd, url)
        page.on("pageerror", lambda error: screen.errors.append(str(error)))
        page.goto(url + PAGE)
        return screen

    def start_again(self, screen: Screen) -> None:
        """Start another nestd for the same host, after the first has ended."""
        screen.nestd = self._run(f"unix:path={self._link}")

    def restart_bus(self, screen: Screen) -> None:
        """End the bus, and nestd with it, and start both again at the same address."""
        os.kill(self._bus.pid, signal.SIGKILL)
        screen.nestd.process.wait()
        self._link.unlink()
        self._start_bus()
        self.start_again(screen)

    def _run(self, address: str) -> Nestd:
        running = running_nestd(
            address, self._directory, *self._arguments, environment=self._environment
        )
        return self._stack.enter_context(running)

    def _start_bus(self) -> PrivateBus:
        self._bus = self._stack.enter_context(private_bus("dbus-daemon"))
        self._link.symlink_to(self._bus.address.removeprefix("unix:path="))
        return self._bus

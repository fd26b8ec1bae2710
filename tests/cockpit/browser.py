# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page in a browser: a session with it, and what opens sessions on hosts of all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from page import BRIDGE_IN_C, CHECKOUT, cockpit
from private_bus import private_bus
from running_nestd import Nestd, running_nestd

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # the tier "cockpit" then says so
    expect = sync_playwright = None

SHOTS = CHECKOUT / ".cache/cockpit"
WIDE, NARROW = (1100, 1000), (320, 800)
LOADED = 20_000  # milliseconds for a page or an answer, on a machine that is busy


@dataclass
class Screen:
    """One session of a browser with the page, and the host that it shows."""

    page: Any
    nestd: Nestd | None
    url: str
    errors: list[str] = field(default_factory=list)

    @property
    def switch(self) -> Any:
        return self.page.get_by_role("switch", name="Nested virtualization")

    def card(self, title: str) -> Any:
        return self.page.get_by_role("region", name=title, exact=True)

    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")

    def ask_for_change(self) -> Any:
        """Flip the switch: nothing changes yet, a dialog shows the plan."""
        self.switch.click()
        return self.dialog()

    def shoot(self, name: str) -> None:
        """Keep a picture of the whole page, to be looked at: .cache/cockpit/NAME.png."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", animations="disabled")


class Opener:
    """Starts hosts and opens the page on them; all of it ends with the test."""

    def __init__(self, stack: ExitStack, browser: Any, dist: Path, directory: Path) -> None:
        self._stack = stack
        self._browser = browser
        self._dist = dist
        self._directory = directory

    def __call__(
        self,
        kind: str = "intel",
        *,
        size: tuple[int, int] = WIDE,
        dark: bool = False,
        language: str = "en-US",
        bridge: Sequence[str] = BRIDGE_IN_C,
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        installed: bool = True,
    ) -> Screen:
        """The page on a fresh simulated host of KIND; not installed: on a bus without nestd."""
        bus = self._stack.enter_context(private_bus("dbus-daemon"))
        nestd = None
        if installed:
            running = running_nestd(bus.address, self._directory, "--simulate", kind, *arguments)
            nestd = self._stack.enter_context(running)
        return self.show(
            bus.address,
            nestd,
            size=size,
            dark=dark,
            language=language,
            bridge=bridge,
            environment=environment,
        )

    def show(
        self,
        address: str,
        nestd: Nestd | None,
        *,
        size: tuple[int, int] = WIDE,
        dark: bool = False,
        language: str = "en-US",
        bridge: Sequence[str] = BRIDGE_IN_C,
        environment: dict[str, str] | None = None,
    ) -> Screen:
        """The page over the bus at ADDRESS."""
        home = self._directory / "cockpit"
        home.mkdir()
        served = cockpit(address, self._dist, home, bridge=bridge, environment=environment)
        url = self._stack.enter_context(served)
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            locale=language,
            accept_downloads=True,
        )
        context.set_default_timeout(LOADED)
        code = {"de-DE": "de", "zh-CN": "zh-cn"}.get(language, "en-us")
        context.add_cookies([{"name": "CockpitLang", "value": code, "url": url}])
        self._stack.callback(context.close)
        page = context.new_page()
        screen = Screen(page, nestd, f"{url}/cockpit/@localhost/nestd/index.html")
        page.on("pageerror", lambda error: screen.errors.append(str(error)))
        page.goto(screen.url)
        return screen

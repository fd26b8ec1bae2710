# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's Firefox, driven by its own remote protocol, Marionette.

with running_firefox(tmp_path) as firefox:
    firefox.navigate(url)
    firefox.click("//button")

Elements are named by XPath. A command is the JSON [0, ID, NAME, PARAMETERS], the reply is [1, ID,
ERROR, RESULT]; each is preceded by its length in bytes and a colon.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tiers
from browser import AXE, LOADED, SHOTS, WIDE
from page import free_port
from private_bus import die_with_parent

START_SECONDS = 180
# Firefox sends no requests to Mozilla.
PREFERENCES = {
    "app.normandy.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.prefs.recommended": True,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}
_SHOWN = """const [path, text] = arguments;
const found = document.evaluate(path, document, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null);
for (let index = 0; index < found.snapshotLength; index++) {
    const element = found.snapshotItem(index);
    if (element.checkVisibility() && element.innerText.includes(text))
        return true;
}
return false;"""
_AXE = """const done = arguments[0];
const told = ({ id, nodes }) => [id, ...nodes.map(({ html }) => html)];
axe.run(document, {resultTypes: ["violations"]}).then(
    ({ violations }) => done(violations.map(told)),
    (error) => done([[String(error)]]));"""


class Firefox:
    """A running browser window."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")
        self._numbers = itertools.count(1)
        self._receive()  # its greeting
        self.command("WebDriver:NewSession")
        self.command("WebDriver:SetTimeouts", script=LOADED, pageLoad=LOADED)
        self.command("WebDriver:SetWindowRect", width=WIDE[0], height=WIDE[1])

    def command(self, name: str, **parameters: object) -> Any:
        """The result of a command. Raises RuntimeError with Firefox's message if it fails."""
        number = next(self._numbers)
        data = json.dumps([0, number, name, parameters]).encode()
        self._connection.sendall(b"%d:%b" % (len(data), data))
        _, answered, error, result = self._receive()
        if error or answered != number:
            raise RuntimeError(f"{name}: {error}")
        return result

    def navigate(self, url: str) -> None:
        self.command("WebDriver:Navigate", url=url)

    def wait(self, path: str, text: str = "", *, gone: bool = False) -> None:
        """Wait until such an element shows that text, or (gone) until none does."""
        deadline = time.monotonic() + LOADED / 1000
        while self._run("ExecuteScript", _SHOWN, path, text) is gone:
            assert time.monotonic() < deadline, f"{path} {'shows' if gone else 'lacks'} {text!r}"
            time.sleep(0.1)

    def click(self, path: str) -> None:
        found = self.command("WebDriver:FindElement", using="xpath", value=path)
        [element] = found["value"].values()
        self.command("WebDriver:ElementClick", id=element)

    def violations(self) -> list[list[str]]:
        """The violations that axe-core finds."""
        self._run("ExecuteScript", AXE.read_text())
        found: list[list[str]] = self._run("ExecuteAsyncScript", _AXE)
        return found

    def shoot(self, name: str) -> None:
        """Save a screenshot for inspection: .cache/cockpit/NAME.png."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        picture = self.command("WebDriver:TakeScreenshot", full=False)["value"]
        (SHOTS / f"{name}.png").write_bytes(base64.b64decode(picture))

    def _run(self, how: str, script: str, *arguments: object) -> Any:
        given = {"script": script, "args": list(arguments), "newSandbox": False}
        return self.command(f"WebDriver:{how}", **given)["value"]

    def _receive(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            byte = self._stream.read(1)
            if not byte:
                raise RuntimeError("Firefox has ended")
            length += byte
        return json.loads(self._stream.read(int(length[:-1])))


@contextmanager
def running_firefox(directory: Path) -> Iterator[Firefox]:
    """Run Firefox headless, with its own profile in DIRECTORY."""
    port = free_port()
    profile = directory / "profile"
    profile.mkdir()
    wanted = {**PREFERENCES, "marionette.port": port}
    lines = [f'user_pref("{name}", {json.dumps(value)});' for name, value in wanted.items()]
    (profile / "user.js").write_text("\n".join(lines))
    program = shutil.which("firefox-esr", path=tiers.SEARCH_PATH)
    assert program
    command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    environment = {**os.environ, "HOME": str(directory), "MOZ_CRASHREPORTER_DISABLE": "1"}
    with open(directory / "firefox.log", "wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, preexec_fn=die_with_parent
        )
    try:
        with _connected(port, process, directory / "firefox.log") as connection:
            yield Firefox(connection)
    finally:
        process.kill()
        process.wait()


def _connected(port: int, process: subprocess.Popen[bytes], log: Path) -> socket.socket:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=2 * LOADED / 1000)
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise RuntimeError(f"Firefox does not start: {log.read_text()}")

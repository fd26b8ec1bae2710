# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packages in a container that boots systemd, and logins to Cockpit there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import container
import debian_image
import login_image
import pytest
from browser import LOADED, WIDE, expect
from container import Container, Overlay
from login_image import ADMIN, PASSWORD, USER
from page import CHECKOUT, free_port

pytestmark = pytest.mark.cockpit

ROOT = "/var/lib/nestd/simulated-host"
KVM_CONF = f"{ROOT}/etc/modprobe.d/kvm.conf"
SERVICE = f"[Service]\nExecStart=\nExecStart=/usr/bin/nestd --simulate intel --root {ROOT}\n"
SOCKET = "[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n"
COCKPIT = "[WebService]\nAllowUnencrypted=true\nOrigins=http://127.0.0.1:{port}\n"
FRAME = "iframe[name='cockpit1:localhost/nestd']"
DENIED = """async () => {
    const nestd = cockpit.dbus("org.nestd1", { bus: "system" });
    try {
        const path = "/org/nestd1/module/kvm_intel";
        const change = [{ ple_gap: "77" }, "now", {}];
        await nestd.call(path, "org.nestd1.Module", "SetParameters", change);
        return "changed";
    } catch (error) {
        return `${error.name} ${error.problem}`;
    }
}"""


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Overlay:
    """A root with this checkout's packages installed, cockpit-nestd among them."""
    try:
        image = login_image.build()
    except debian_image.BuildError as error:
        pytest.fail(str(error), pytrace=False)
    overlay = Overlay(image, tmp_path_factory.mktemp("cockpit"))
    build = ["/src/packaging/build.py", "deb", "/packages", "--no-check", "--page", "/page"]
    overlay.run(*build, binds=(f"{CHECKOUT}:/src", f"{dist}:/page"))
    overlay.run("sh", "-c", "cd /packages && dpkg --install nestd_* nestctl_* cockpit-nestd_*")
    return overlay


@pytest.fixture(scope="module")
def host(installed: Overlay) -> Iterator[tuple[Container, str]]:
    """The booted host, and the address of its Cockpit."""
    port = free_port()
    files = {
        "etc/hosts": "127.0.0.1 localhost nestd-test\n",  # sudo resolves the host name
        "etc/cockpit/cockpit.conf": COCKPIT.format(port=port),
        "etc/systemd/system/cockpit.socket.d/listen.conf": SOCKET.format(port=port),
        "etc/systemd/system/nestd.service.d/simulated.conf": SERVICE,
    }
    debian_image.write(installed.directory / "upper", files)
    with container.boot(installed, private_network=False) as booted:
        yield booted, f"http://127.0.0.1:{port}"


@dataclass
class LogIn:
    """Logs users in with their password, each in a separate browser window."""

    browser: Any
    machine: Container
    url: str
    windows: ExitStack

    def __call__(self, user: str, *, superuser: bool) -> Any:
        """Open nestd's page in Cockpit; superuser requests administrative access at login."""
        size = {"width": WIDE[0], "height": WIDE[1]}
        window = self.browser.new_context(viewport=size, locale="en-US")
        self.windows.callback(window.close)
        window.set_default_timeout(LOADED)
        page = window.new_page()
        page.goto(f"{self.url}/nestd")
        wish = "any" if superuser else "none"
        page.evaluate(f"localStorage.setItem('superuser:{user}', '{wish}')")
        page.locator("#login-user-input").fill(user)
        page.locator("#login-password-input").fill(PASSWORD)
        page.locator("#login-button").click()
        return page


@pytest.fixture
def log_in(host: tuple[Container, str], browser: Any) -> Iterator[LogIn]:
    with ExitStack() as windows:
        yield LogIn(browser, *host, windows)


def _switch(page: Any) -> Any:
    return page.frame_locator(FRAME).get_by_role("switch", name="Nested virtualization")


def _frame(page: Any) -> Any:
    [frame] = [each for each in page.frames if "/nestd/index.html" in each.url]
    return frame


def test_packages_bring_the_page_and_say_what_is_in_it(host: tuple[Container, str]) -> None:
    machine, _ = host
    files = machine.output("dpkg", "--listfiles", "cockpit-nestd").splitlines()
    for name in ("index.html", "index.js", "manifest.json", "po.zh_CN.js", "LICENSES.txt"):
        assert f"/usr/share/cockpit/nestd/{name}" in files
    assert "/usr/share/metainfo/org.nestd.cockpit_nestd.metainfo.xml" in files
    assert "nestd" in machine.output("cockpit-bridge", "--packages").split()


def test_administrator_turns_on_access_and_changes(log_in: LogIn) -> None:
    page = log_in(ADMIN, superuser=False)
    expect(_switch(page)).to_be_checked()
    expect(_switch(page)).to_be_disabled()
    frame = page.frame_locator(FRAME)
    dialog = _answer_for_access(frame, "wrong")
    expect(dialog).to_contain_text("try again")
    dialog.locator("#nestd-admin-reply").fill(PASSWORD)
    dialog.get_by_role("button", name="Authenticate").click()
    expect(dialog).to_be_hidden()
    expect(_switch(page)).to_be_enabled()
    _switch(page).click()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_be_hidden()
    expect(_switch(page)).not_to_be_checked()
    expect(frame.get_by_role("region", name="History")).to_contain_text("nested=0 (now)")
    assert "nested=0" in log_in.machine.file(KVM_CONF).read_text()


def test_administrator_who_has_access_from_the_login_on_starts_the_service(log_in: LogIn) -> None:
    page = log_in(ADMIN, superuser=True)
    expect(_switch(page)).to_be_enabled()
    # Not through the bus either, which would start it for any client.
    log_in.machine.output("systemctl", "mask", "--runtime", "--now", "nestd.service")
    frame = page.frame_locator(FRAME)
    absent = "The nestd service is not running"
    expect(frame.get_by_role("heading", level=1)).to_have_text(absent)
    log_in.machine.output("systemctl", "unmask", "--runtime", "nestd.service")
    frame.get_by_role("button", name="Start nestd").click()
    expect(_switch(page)).to_be_enabled()
    assert log_in.machine.property("ActiveState") == "active"


def test_user_without_rights_looks_and_changes_nothing(log_in: LogIn) -> None:
    before = log_in.machine.file(KVM_CONF).read_bytes()
    page = log_in(USER, superuser=True)
    frame = page.frame_locator(FRAME)
    expect(_switch(page)).to_be_disabled()
    expect(frame.get_by_text("You can look at everything here")).to_be_visible()
    expect(frame.get_by_role("region", name="Module parameters")).to_contain_text("ple_gap")
    assert "AccessDenied" in _frame(page).evaluate(DENIED)
    dialog = _answer_for_access(frame, PASSWORD)
    expect(dialog.locator(".pf-v6-c-alert.pf-m-danger")).to_contain_text(USER)
    dialog.get_by_role("button", name="Close").last.click()
    expect(_switch(page)).to_be_disabled()
    assert log_in.machine.file(KVM_CONF).read_bytes() == before


def _answer_for_access(frame: Any, password: str) -> Any:
    """Request administrative access with that password; returns the dialog."""
    frame.get_by_role("button", name="Turn on administrative access").click()
    dialog = frame.get_by_role("dialog")
    dialog.locator("#nestd-admin-reply").fill(password)
    dialog.get_by_role("button", name="Authenticate").click()
    return dialog

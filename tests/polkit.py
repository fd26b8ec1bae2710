# SPDX-License-Identifier: LGPL-2.1-or-later
"""polkit on a private bus: python-dbusmock's mocks, and the real polkitd."""

from __future__ import annotations

import ctypes
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tiers
from private_bus import die_with_parent

NAME = "org.freedesktop.PolicyKit1"
PATH = "/org/freedesktop/PolicyKit1/Authority"
AUTHORITY = "org.freedesktop.PolicyKit1.Authority"
MOCK = "org.freedesktop.DBus.Mock"
DAEMON = "/usr/lib/polkit-1/polkitd"
ACTIONS = "/usr/share/polkit-1/actions"
RULES = "/etc/polkit-1/rules.d"
START_SECONDS = 20
_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC_PRIVATE = 0x1000, 0x44000

QUESTION = ("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})")
WITHDRAWAL = ("CancelCheckAuthorization", "s", "")


@contextmanager
def template(address: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """dbusmock's polkitd: SetAllowed, AllowUnknown, SetDelay, SimulateHang and so on of MOCK."""
    with _mock(address, log, ["--template", "polkitd"]) as process:
        yield process


@contextmanager
def recorder(address: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A mock that records its calls, see GetMethodCalls of MOCK; add_method() defines replies."""
    with _mock(address, log, [NAME, PATH, AUTHORITY]) as process:
        for method, code in ((QUESTION, "ret = (False, False, {})"), (WITHDRAWAL, "")):
            add_method(address, method, code)
        yield process


def add_method(address: str, method: tuple[str, str, str], code: str) -> None:
    """Make the recorder run CODE as the METHOD (name, signature in, signature out)."""
    busctl(address, MOCK, "AddMethod", "sssss", AUTHORITY, *method, code)


def busctl(address: str, interface: str, member: str, *arguments: str) -> str:
    """Call a method of polkit as root; returns the answer as busctl prints it."""
    command = ["busctl", f"--address={address}", "call", NAME, PATH, interface, member, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _mock(address: str, log: Path, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [tiers.SYSTEM_PYTHON, "-m", "dbusmock", "--system", *arguments]
    environment = {"PATH": tiers.SEARCH_PATH, "DBUS_SYSTEM_BUS_ADDRESS": address}
    with _running(command, environment, address, log) as process:
        yield process


@contextmanager
def real(address: str, directory: Path, actions: Sequence[Path], rule: str = "") -> Iterator[None]:
    """The real polkitd, in a mount namespace with only ACTIONS and RULE."""
    places = {ACTIONS: directory / "actions", RULES: directory / "rules"}
    for place in places.values():
        place.mkdir(parents=True)
        place.chmod(0o755)
    for action in actions:
        _put(places[ACTIONS] / action.name, action.read_text())
    _put(places[RULES] / "50-test.rules", rule)

    def enter_namespace() -> None:
        die_with_parent()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC_PRIVATE, None):
            raise OSError(ctypes.get_errno(), "no mount namespace")
        for place, source in places.items():
            if libc.mount(bytes(source), place.encode(), None, _MS_BIND, None):
                raise OSError(ctypes.get_errno(), "no bind mount", place)

    environment = {"PATH": tiers.SEARCH_PATH, "DBUS_SYSTEM_BUS_ADDRESS": address}
    log = directory / "polkitd.log"
    with _running([DAEMON], environment, address, log, enter_namespace):
        yield


def _put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


@contextmanager
def _running(
    command: Sequence[str],
    environment: dict[str, str],
    address: str,
    log: Path,
    first: object = die_with_parent,
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, preexec_fn=first
        )
    try:
        _wait_for_name(address, process, log)
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for_name(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ask = ["busctl", f"--address={address}", "call", "org.freedesktop.DBus"]
    ask += ["/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", NAME]
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if b"true" in subprocess.run(ask, capture_output=True).stdout:
            return
    raise RuntimeError(f"polkit does not start: {log.read_text()}")

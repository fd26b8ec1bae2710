# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private message buses for tests: dbus-daemon and dbus-broker, which end with the test.

with private_bus("dbus-broker") as bus:
    subprocess.run(["busctl", f"--address={bus.address}", "list"])
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import tiers

KINDS = ("dbus-daemon", "dbus-broker")

# Open to all unless config_extra restricts it: later rules win.
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
  {extra}
</busconfig>
"""
_JOURNAL = "/run/systemd/journal/socket"
_START_SECONDS = 60
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNS = 0x20000
_MS_REC_PRIVATE = 0x44000


@dataclass(frozen=True)
class PrivateBus:
    """A running bus; pid is the process that routes messages, which a test may stop or kill."""

    address: str
    pid: int
    log: Path


@contextmanager
def private_bus(kind: str, config_extra: str = "") -> Iterator[PrivateBus]:
    """Run a private bus, which any user may use for anything.

    config_extra is XML for <busconfig>, e.g. "<include>/some/policy.conf</include>". Skips the test
    if the bus cannot run here.
    """
    _require(kind)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nestd-bus-")))
        folder.chmod(0o755)
        path = folder / "socket"
        config = folder / "bus.conf"
        config.write_text(_CONFIG.format(socket=path, extra=config_extra))
        config.chmod(0o644)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        launcher = _start(kind, path, config, listener, folder / "log")
        stack.callback(_stop, launcher)
        address = f"unix:path={path}"
        _wait_until_ready(address, launcher, folder / "log")
        path.chmod(0o666)
        pid = launcher.pid if kind == "dbus-daemon" else _child(launcher.pid)
        stack.callback(_kill, pid)  # even if a test has stopped it
        yield PrivateBus(address, pid, folder / "log")


def _require(kind: str) -> None:
    words = tiers.missing("unit", ["dbus-broker-launch"] if kind == "dbus-broker" else [])
    if kind == "dbus-broker" and not os.path.exists(_JOURNAL) and os.geteuid() != 0:
        words.append(f"root or {_JOURNAL}, which dbus-broker-launch logs to")
    if words:
        tiers.lacking(words)


def _start(
    kind: str, path: Path, config: Path, listener: socket.socket, log: Path
) -> subprocess.Popen[bytes]:
    environment = {"PATH": tiers.SEARCH_PATH}
    if kind == "dbus-daemon":
        command = ["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={config}"]
    else:
        listener.bind(str(path))
        listener.listen(256)
        environment["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={path}"
        command = [sys.executable, __file__, str(listener.fileno()), str(config)]
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            preexec_fn=die_with_parent,
        )


def die_with_parent() -> None:
    """A preexec_fn: the kernel kills the process when the test run ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_until_ready(address: str, launcher: subprocess.Popen[bytes], log: Path) -> None:
    ask = ["busctl", f"--address={address}", "--timeout=5", "call", *["org.freedesktop.DBus"]]
    ask += ["/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId"]
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if subprocess.run(ask, capture_output=True).returncode == 0:
            return
        if launcher.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"the bus does not start: {log.read_text()}")


def _child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/comm").read_text().strip() for child in children}
    return next(child for child, name in names.items() if name == "dbus-broker")


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _stop(launcher: subprocess.Popen[bytes]) -> None:
    launcher.kill()
    launcher.wait()


def _launch_broker(listener: int, config: str) -> None:
    """Exec dbus-broker-launch as systemd would: with the socket as descriptor 3."""
    if not os.path.exists(_JOURNAL):
        _fake_journal()
    os.dup2(listener, 3)
    os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="dbus.socket", LISTEN_PID=str(os.getpid()))
    program = shutil.which("dbus-broker-launch")
    assert program
    os.execv(program, [program, "--scope=system", f"--config-file={config}"])


def _fake_journal() -> None:
    """The launcher requires a journal: a fake one in a mount namespace, which writes to the log."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "no mount namespace")
    if libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), "no tmpfs")
    os.makedirs(os.path.dirname(_JOURNAL))
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(_JOURNAL)
    if os.fork() == 0:
        die_with_parent()
        os.closerange(3, journal.fileno())
        while True:
            sys.stdout.buffer.write(journal.recv(1 << 16))
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    _launch_broker(int(sys.argv[1]), sys.argv[2])

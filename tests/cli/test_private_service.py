# SPDX-License-Identifier: LGPL-2.1-or-later
"""--standalone, --simulate and shell: a nestd that ends with nestctl, however it ends."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from private_bus import PrivateBus
from run_nestctl import COMMAND, environment, nestctl_program, start_nestctl
from scripted_nestd import Script, scripted_nestd

_SECONDS = 30
CALLED = shlex.join(COMMAND)


@pytest.fixture
def leftovers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory for nestctl's files; a short name, since sockets are among them."""
    with tempfile.TemporaryDirectory(prefix="nc-") as directory:
        os.chmod(directory, 0o755)
        monkeypatch.setenv("TMPDIR", directory)
        yield Path(directory)


def _processes(directory: Path) -> list[int]:
    """The processes that were started with a path below DIRECTORY."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(directory).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def _wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while _processes(directory):
        assert time.monotonic() < deadline, "they live on"
        time.sleep(0.05)


def test_a_simulated_host_for_one_command(leftovers: Path) -> None:
    result = nestctl_program("--simulate", "amd", "status", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["vendor"] == "amd"
    assert _processes(leftovers) == []
    assert list(leftovers.iterdir()) == []


def test_standalone_reads_this_machine_and_needs_no_system_bus(leftovers: Path) -> None:
    nowhere = "unix:path=/nonexistent/bus"
    result = nestctl_program("--standalone", "describe", DBUS_SYSTEM_BUS_ADDRESS=nowhere)
    assert result.code == 0, result.err
    assert json.loads(result.out)["kernel"]["release"] == os.uname().release
    assert list(leftovers.iterdir()) == []


def test_standalone_keeps_out_of_the_way_of_a_service(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script()):
        result = nestctl_program("--standalone", "status", DBUS_SYSTEM_BUS_ADDRESS=bus.address)
    assert result.code == 1
    assert result.err.splitlines() == [
        "nestctl: nestd already runs on this machine as a system service.",
        "Leave out --standalone to use it.",
    ]


def test_hints_say_how_to_come_to_the_same_host(leftovers: Path) -> None:
    result = nestctl_program("--simulate", "s390", "--root", str(leftovers / "host"), "status")
    assert f"  {CALLED} --simulate s390 --root {leftovers}/host nested on\n" in result.out
    shutil.rmtree(leftovers / "host")


def test_a_root_keeps_the_host_over_several_commands(leftovers: Path) -> None:
    host = ("--simulate", "power", "--root", str(leftovers / "host"))
    assert nestctl_program(*host, "nested", "off").code == 0
    result = nestctl_program(*host, "status")
    assert result.out.startswith("Nested virtualization is off, and stays off after a reboot.\n")
    shutil.rmtree(leftovers / "host")


def test_files_of_another_machine_are_read_and_edited_but_nothing_is_loaded(
    leftovers: Path,
) -> None:
    root = leftovers / "root"
    (root / "etc/modprobe.d").mkdir(parents=True)
    result = nestctl_program("--standalone", "--root", str(root), "status")
    assert result.code == 0, result.err
    assert result.out.startswith("Nested virtualization is not available")
    shutil.rmtree(root)


def test_a_shell_keeps_one_host(leftovers: Path) -> None:
    script = (
        f"{' '.join(COMMAND)} nested off > /dev/null;"
        "touch $NESTD_ROOT/simulated/machines/web1;"
        f"{' '.join(COMMAND)} status; exit 7"
    )
    result = nestctl_program("--simulate", "intel", "shell", "sh", "-c", script)
    assert result.code == 7
    assert result.out.startswith("Nested virtualization is off, and stays off after a reboot.\n")
    assert list(leftovers.iterdir()) == []


def test_a_shell_says_how_to_use_it() -> None:
    result = nestctl_program("--simulate", "power", "shell", SHELL="/bin/true")
    assert result.code == 0
    assert result.out.splitlines() == [
        "A simulated POWER host serves this shell; exit ends it.",
        "Its files are below $NESTD_ROOT. A virtual machine is a file there:",
        "  touch $NESTD_ROOT/simulated/machines/web1   # starts one",
        "  rm $NESTD_ROOT/simulated/machines/web1      # ends it",
        "Ask nestd as you would on a real host:",
        "  nestctl status",
        "  busctl introspect org.nestd1 /org/nestd1",
    ]
    assert nestctl_program("shell").code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(leftovers: Path, number: int) -> None:
    process = start_nestctl("--simulate", "intel", "watch")
    assert process.stdout is not None
    assert "Nested virtualization is on" in process.stdout.readline()
    assert len(_processes(leftovers)) == 2
    process.send_signal(number)
    assert process.wait(_SECONDS) == 0
    assert _processes(leftovers) == []
    assert list(leftovers.iterdir()) == []


def test_killed_it_leaves_no_process_behind(leftovers: Path) -> None:
    process = start_nestctl("--simulate", "intel", "watch")
    assert process.stdout is not None
    process.stdout.readline()
    assert len(_processes(leftovers)) == 2
    process.kill()
    process.wait()
    _wait_until_gone(leftovers)
    shutil.rmtree(next(leftovers.iterdir()))


def test_waiting_until_idle_ends_well(leftovers: Path) -> None:
    """nestctl stays with --when-idle, since the waiting nestd would end with it."""
    root = leftovers / "host"
    host = ("--simulate", "intel", "--root", str(root))
    assert nestctl_program(*host, "status").code == 0
    (root / "simulated/machines/web1").touch()
    process = start_nestctl(*host, "nested", "off", "--when-idle")
    assert process.stdout is not None
    seen = process.stdout.readline() + process.stdout.readline()
    assert "Ctrl-C ends the wait" in seen
    assert "Job 1: the reload of kvm_intel waits for" in seen
    (root / "simulated/machines/web1").unlink()
    rest = process.stdout.read()
    assert process.wait(_SECONDS) == 0
    assert "kvm_intel was reloaded, and verified." in rest
    assert "Nested virtualization is off, and stays off after a reboot." in rest
    shutil.rmtree(root)


def test_without_dbus_daemon_it_says_what_to_install() -> None:
    code = (
        "from nestd.cli.local import private_service as p; p._SEARCH_PATH = '/nonexistent';"
        "from nestd.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--simulate", "amd"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "The program dbus-daemon is needed for this, and is not installed." in done.stderr
    assert "  apt install dbus-daemon   # Debian, Ubuntu\n" in done.stderr


def test_a_nestd_that_does_not_start_is_told_with_its_reason(leftovers: Path) -> None:
    (leftovers / "file").write_text("")
    result = nestctl_program("--simulate", "amd", "--root", str(leftovers / "file"), "status")
    assert result.code == 1
    assert re.match(r"nestctl: nestd does not start: .+\n", result.err)
    (leftovers / "file").unlink()


def test_the_current_directory_is_no_place_for_modules(leftovers: Path) -> None:
    """Otherwise any user could make root run a module placed in /tmp."""
    planted = leftovers / "nestd"
    planted.mkdir()
    (planted / "__main__.py").write_text("raise SystemExit('planted')\n")
    (planted / "__init__.py").write_text("")
    program = (
        "import sys; sys.path.remove(''); from nestd.cli.main import main;"
        "sys.exit(main(['--simulate', 'amd', 'vms']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        cwd=leftovers,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "No KVM virtual machine runs.\n", done.stderr
    shutil.rmtree(planted)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_nobody_else_may_use_the_bus(leftovers: Path) -> None:
    process = start_nestctl("--simulate", "intel", "watch")
    assert process.stdout is not None
    process.stdout.readline()
    [directory] = leftovers.iterdir()
    os.chmod(directory, 0o711)  # so that the bus itself rejects them
    address = f"unix:path={directory}/bus"
    ask = ["busctl", f"--address={address}", "call", "org.nestd1", "/org/nestd1"]
    ask += ["org.freedesktop.DBus.Peer", "Ping"]
    allowed = subprocess.run(ask, capture_output=True)
    refused = subprocess.run(ask, capture_output=True, preexec_fn=lambda: os.setuid(65534))
    process.send_signal(signal.SIGINT)
    process.wait(_SECONDS)
    assert allowed.returncode == 0, allowed.stderr
    assert refused.returncode != 0

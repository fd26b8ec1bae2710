# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl log, on a service with scripted answers."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
from private_bus import PrivateBus
from run_nestctl import COMMAND, environment, nestctl, start_nestctl
from running_nestd import Nestd
from scripted_nestd import OWN, Script, scripted_nestd

from nestd.dbus.errors import BusError
from nestd.dbus.values import Variant

ARCHIVE = gzip.compress(os.urandom(3_000_000))


def test_show(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script()):
        result = nestctl(bus.address, "log", "show")
        document = json.loads(nestctl(bus.address, "log", "show", "virtqemud", "--json").out)
        unknown = nestctl(bus.address, "log", "show", "virtfood")
    assert result.code == 0
    assert result.out.splitlines() == [
        "virtqemud, running",
        "  Configured  3:remote, else warnings and errors",
        "  to          libvirt's default, the journal",
        "  Now         3:remote, else warnings and errors",
        "  to          libvirt's default, the journal",
        "  File        /etc/libvirt/virtqemud.conf",
        "",
        "Levels: 1 debug, 2 info, 3 warning, 4 error.",
    ]
    assert document["log_daemons"][0]["running"] == {"filters": "3:remote", "outputs": ""}
    assert unknown.err == "nestctl: There is no daemon virtfood.\n"


def test_show_a_daemon_that_cannot_be_asked(bus: PrivateBus) -> None:
    refusal = BusError(OWN + "DaemonUnavailable", "virtqemud does not run.")
    with scripted_nestd(bus.address, Script(failures={"GetRunning": refusal})):
        result = nestctl(bus.address, "log", "show")
        document = json.loads(nestctl(bus.address, "log", "show", "--json").out)
    assert result.code == 0
    assert "Now" not in result.out
    assert document["log_daemons"][0]["running"] is None


def test_set(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script()) as script:
        result = nestctl(
            *(bus.address, "log", "set", "virtqemud", "1:nosuch", "3:rpc", "--at-start"),
            *("--outputs", "1:syslog:x"),
        )
    assert result.code == 0
    assert result.err == "Warning: 1:nosuch matches no known category of libvirt\n"
    assert result.out.startswith("virtqemud logs this from its next start on.\n")
    options = {"outputs": Variant("s", "1:syslog:x")}
    assert script.calls_of("SetFilters")[0].args == ("1:nosuch 3:rpc", "start", options)


def test_set_by_name_and_not_at_all(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script()) as script:
        nestctl(bus.address, "log", "set", "virtqemud", "--preset", "qmp", "--runtime")
        nestctl(bus.address, "log", "set", "virtqemud", "--clear")
        nothing = nestctl(bus.address, "log", "set", "virtqemud")
        both = nestctl(bus.address, "log", "set", "virtqemud", "1:qemu", "--clear")
    assert [call.args[:2] for call in script.calls_of("SetFilters")] == [
        ("2:qemu.qemu_monitor 3:*", "runtime"),
        ("", "now"),
    ]
    assert nothing.code == both.code == 2
    assert nothing.err.startswith("nestctl: Which filters?\n")
    assert both.err == "nestctl: Give filters, or --preset, or --clear: only one of them.\n"


def test_a_filter_that_the_service_refuses_is_wrong_usage(bus: PrivateBus) -> None:
    refusal = BusError(OWN + "InvalidFilter", 'Filter 1, "5:x": the level is 1 to 4.')
    with scripted_nestd(bus.address, Script(failures={"CheckFilters": refusal})):
        result = nestctl(bus.address, "log", "set", "virtqemud", "5:x")
    assert (result.code, result.err) == (2, 'nestctl: Filter 1, "5:x": the level is 1 to 4.\n')


def test_a_daemon_that_does_not_run(bus: PrivateBus) -> None:
    refusal = BusError(OWN + "DaemonUnavailable", "virtqemud does not run.")
    failures = {"SetFilters": refusal, "StartDebug": refusal}
    with scripted_nestd(bus.address, Script(failures=failures)):
        set_ = nestctl(bus.address, "log", "set", "virtqemud", "3:*", "--outputs", "1:syslog:x")
        debug = nestctl(bus.address, "log", "debug", "virtqemud")
    assert set_.err.splitlines()[-1] == (
        "  nestctl log set virtqemud '3:*' --outputs 1:syslog:x --at-start"
    )
    assert debug.err.splitlines()[-1] == "  systemctl start virtqemud"


def test_presets() -> None:
    result = nestctl("unix:path=/nonexistent", "log", "presets")
    assert result.code == 0, result.err
    assert "qemu: trouble with a QEMU virtual machine" in result.out


def test_debug_to_its_end(bus: PrivateBus, tmp_path: Path) -> None:
    with scripted_nestd(bus.address, Script(log_file=tmp_path / "debug.log")) as script:
        result = nestctl(bus.address, "log", "debug", "--for", "2s", "--max-size", "1G")
    assert result.code == 0, result.err
    [call] = script.calls_of("StartDebug")
    assert str(call.args[0]).startswith("1:libvirt 1:qemu ")
    assert call.args[1:] == (2, {"max_bytes": Variant("t", 1 << 30)})
    assert call.interactive
    assert script.calls_of("StopDebug") == []
    assert result.out.splitlines()[3] == "virtqemud has its previous log settings again."
    assert re.search(rf"^It wrote 3.0 MB in \d s, to {tmp_path}/debug.log.$", result.out, re.M)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_session(bus: PrivateBus, tmp_path: Path, number: int) -> None:
    with scripted_nestd(bus.address, Script(log_file=tmp_path / "debug.log")) as script:
        process = start_nestctl("log", "debug", "virtqemud", DBUS_SYSTEM_BUS_ADDRESS=bus.address)
        assert process.stdout is not None
        first = "virtqemud writes debug logs. Reproduce the problem now.\n"
        assert process.stdout.readline() == first
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait() == 0
    assert len(script.calls_of("StopDebug")) == 1
    assert "virtqemud has its previous log settings again.\n" in rest


def test_debug_without_waiting_and_its_end(bus: PrivateBus, tmp_path: Path) -> None:
    with scripted_nestd(bus.address, Script(log_file=tmp_path / "debug.log")) as script:
        started = nestctl(bus.address, "log", "debug", "1:qemu", "--no-wait", "--for", "1h")
        shown = nestctl(bus.address, "status")
        ended = nestctl(bus.address, "log", "debug", "virtqemud", "--stop")
    assert started.out.startswith("virtqemud writes debug logs for 1 h.\n")
    assert "nestctl log debug virtqemud --stop" in started.out
    assert script.calls_of("StartDebug")[0].args[:2] == ("1:qemu", 3600)
    assert "Debug logs  virtqemud for " in shown.out
    assert ended.out == "virtqemud has its previous log settings again.\n"


def test_the_end_of_no_session(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script()):
        ended = nestctl(bus.address, "log", "debug", "virtqemud", "--stop")
        document = json.loads(nestctl(bus.address, "log", "debug", "--stop", "--json").out)
    assert ended.out == "No debug session of virtqemud runs: nothing to do.\n"
    assert ended.code == 0
    assert not document["changed"]


def test_only_what_this_session_wrote_is_counted(bus: PrivateBus, tmp_path: Path) -> None:
    log = tmp_path / "debug.log"
    log.write_bytes(b"y" * 5_000_000)
    outputs = f"1:file:{log}"
    with scripted_nestd(bus.address, Script(log_file=log)):
        words = ("log", "debug", "--for", "1s", "--outputs", outputs)
        result = nestctl(bus.address, *words)
        document = json.loads(nestctl(bus.address, *words, "--json").out)
    assert "It wrote 1.5 MB" in result.out
    assert (document["bytes"], document["files"]) == (1_500_000, [str(log)])


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["20s"], "--for 20s"), (["virtqemud", "1:qemu", "1h"], "virtqemud 1:qemu --for 1h")],
)
def test_a_time_without_its_option(bus: PrivateBus, words: list[str], meant: str) -> None:
    with scripted_nestd(bus.address, Script()) as script:
        result = nestctl(bus.address, "log", "debug", *words)
    assert result.code == 2
    assert result.err.splitlines()[0].endswith("is a time: give it with --for.")
    assert result.err.splitlines()[1] == f"  nestctl log debug {meant}"
    assert script.calls_of("StartDebug") == []


def test_log_without_a_command_shows_the_state(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script()):
        assert nestctl(bus.address, "log").out == nestctl(bus.address, "log", "show").out
        assert "log_daemons" in json.loads(nestctl(bus.address, "log", "--json").out)


def test_an_archive_that_cannot_be_written_to_standard_output(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(archive=ARCHIVE)):
        done = subprocess.run(
            ["sh", "-c", '"$@" >/dev/full', "sh", *COMMAND, "log", "collect", "-o", "-"],
            env=environment(DBUS_SYSTEM_BUS_ADDRESS=bus.address),
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
    assert (done.returncode, done.stderr) == (
        1,
        "nestctl: The output cannot be written: No space left on device.\n",
    )


def test_collect(bus: PrivateBus, tmp_path: Path) -> None:
    path = tmp_path / "logs.tar.gz"
    with scripted_nestd(bus.address, Script(archive=ARCHIVE)) as script:
        result = nestctl(bus.address, "log", "collect", "-o", str(path), "--max-size", "5M")
    assert result.code == 0, result.err
    assert path.read_bytes() == ARCHIVE
    assert path.stat().st_mode & 0o777 == 0o600
    assert result.out.startswith(f"{path} is written: 3.0 MB.\n")
    [call] = script.calls_of("CollectLogs")
    assert call.args == ({"max_bytes": Variant("t", 5 << 20)},)


def test_collect_to_standard_output(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(archive=ARCHIVE)):
        process = start_nestctl("log", "collect", "-o", "-", DBUS_SYSTEM_BUS_ADDRESS=bus.address)
        assert process.stdout is not None
        assert process.stdout.buffer.read() == ARCHIVE
        assert process.wait() == 0


@pytest.mark.parametrize("archive", [ARCHIVE[:-9], b"", b"no archive"])
def test_an_archive_that_is_not_whole_is_not_kept(
    bus: PrivateBus, tmp_path: Path, archive: bytes
) -> None:
    path = tmp_path / "logs.tar.gz"
    path.write_text("from yesterday")
    with scripted_nestd(bus.address, Script(archive=archive)):
        result = nestctl(bus.address, "log", "collect", "-o", str(path))
    assert result.code == 1
    assert "archive" in result.err
    assert path.read_text() == "from yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_collect_where_nothing_can_be_written(bus: PrivateBus, tmp_path: Path) -> None:
    with scripted_nestd(bus.address, Script(archive=ARCHIVE)) as script:
        result = nestctl(bus.address, "log", "collect", "-o", str(tmp_path / "nosuch" / "x"))
    assert result.code == 1
    assert "cannot be written: No such file or directory." in result.err
    assert script.calls_of("CollectLogs") == []


def test_collect_from_the_real_service(bus: PrivateBus, intel: Nestd, tmp_path: Path) -> None:
    path = tmp_path / "logs.tar.gz"
    result = nestctl(bus.address, "log", "collect", "-o", str(path))
    assert result.code == 0, result.err
    with tarfile.open(path) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert "INDEX.json" in names
    assert "config/etc/modprobe.d/kvm.conf" in names

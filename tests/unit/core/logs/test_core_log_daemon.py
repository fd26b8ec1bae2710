# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes and debug sessions that fail halfway: everything is restored.

The daemon is a sleeping process, and virt-admin a script that keeps the settings in files and fails
on demand.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from nestd.core.errors import (
    ConfigUnparsable,
    DaemonUnavailable,
    FileChanged,
    InvalidOutput,
    NestdError,
    NotRestored,
    NotSupported,
    RolledBack,
    WriteFailed,
)
from nestd.core.journal_events import Event
from nestd.core.logs import debug_keeper
from nestd.core.logs.change import LogWhen
from nestd.core.logs.daemon import LogDaemon
from nestd.core.logs.settings.request import LogSettings
from nestd.core.logs.settings.runtime import Runtime
from nestd.core.logs.settings.state import NO_SESSION, Activation
from nestd.host.editing.replacement import Replacement
from nestd.host.libvirt.interface import NoUnits, UnitError, UnitFacts
from nestd.host.libvirt.virt_admin import VirtAdmin
from nestd.host.root import Root
from nestd.host.state.undo_records import UndoRecords

# Filters are reported with stars around them and without a "+", as by libvirt.
SCRIPT = """#!/bin/sh
cd "$(dirname "$0")"; what=$4
[ -e hang ] && exec sleep 60
if [ $# = 4 ]; then
    [ -e "fail-get" ] && { echo "error: Failed to connect to the admin server" >&2; exit 1; }
    cat "$what"; echo; exit
fi
if [ "$what" = daemon-timeout ]; then echo "$6" > timeout; exit; fi
if [ -e "fail-$what" ]; then echo "error: bad" >&2; exit 1; fi
[ -e "ignore-$what" ] && exit
case $what in
    *filters)
        for each in $5; do
            pattern=${each#*:}
            printf '%s:*%s* ' "${each%%:*}" "${pattern#+}"
        done > "$what" ;;
    *) printf %s "$5" > "$what";;
esac
"""


class Units(NoUnits):
    """Restarts fail after the daemon is stopped; starts work unless told to fail."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.calls: list[str] = []
        self.listening = False
        self.fails = False

    async def read(self, daemon: str) -> UnitFacts:
        return UnitFacts(known=True, active=True, listening=self.listening)

    async def try_restart(self, daemon: str) -> None:
        self.calls.append("restart")
        self.host.end()
        raise UnitError("it failed.")

    async def start(self, daemon: str) -> None:
        self.calls.append("start")
        if self.fails:
            raise UnitError("it failed.")
        self.host.begin()


class Host:
    """A host directory, with a sleeping process in place of libvirtd."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.units = Units(self)
        self.begin()

    def begin(self) -> None:
        self.process = subprocess.Popen([str(self.root / "libvirtd"), "600"])
        while Path(f"/proc/{self.process.pid}/comm").read_text() != "libvirtd\n":
            pass
        (self.root / "run/libvirtd.pid").write_text(str(self.process.pid))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def config(self) -> Path:
        return self.root / "etc/libvirt/libvirtd.conf"

    @property
    def settings(self) -> tuple[str, str]:
        names = ("daemon-log-filters", "daemon-log-outputs")
        return (self.root / names[0]).read_text(), (self.root / names[1]).read_text()

    def flag(self, name: str, there: bool = True) -> None:
        if there:
            (self.root / name).touch()
        else:
            (self.root / name).unlink()

    def records(self) -> list[str]:
        directory = self.root / "run/nestd/logs"
        return sorted(os.listdir(directory)) if directory.exists() else []

    async def daemon(self, seconds: float = 5, *, is_ours: bool = True) -> LogDaemon:
        root = Root(self.root)
        admin = VirtAdmin("uri", str(self.root / "virt-admin"), seconds)
        records = UndoRecords(root)
        daemon = LogDaemon(
            root, "libvirtd", self.units, records, admin, lambda: None, is_ours=is_ours
        )
        await daemon.look()
        return daemon


BEFORE = ("1:**a** 3:*+b* ", "3:journald")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    for directory in ("etc/libvirt", "run", "var/log/libvirt"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "proc").symlink_to("/proc")
    (tmp_path / "libvirtd").symlink_to("/bin/sleep")
    (tmp_path / "virt-admin").write_text(SCRIPT)
    (tmp_path / "virt-admin").chmod(0o755)
    (tmp_path / "daemon-log-filters").write_text(BEFORE[0])
    (tmp_path / "daemon-log-outputs").write_text(BEFORE[1])
    (tmp_path / "etc/libvirt/libvirtd.conf").write_text("# mine\n")
    host = Host(tmp_path)
    yield host
    host.end()


def run(host: Host, test: Callable[[LogDaemon], Awaitable[None]], seconds: float = 5) -> None:
    async def body() -> None:
        daemon = await host.daemon(seconds)
        try:
            await test(daemon)
        finally:
            await daemon.close()

    asyncio.run(body())


async def change(daemon: LogDaemon, when: LogWhen = LogWhen.NOW, restart: bool = False) -> None:
    prepared = await daemon.prepare("1:qemu", "1:stderr", when, restart=restart)
    await daemon.apply(prepared, 0)


def unchanged(host: Host) -> None:
    assert host.settings == BEFORE
    assert host.config.read_text() == "# mine\n"
    assert os.listdir(host.config.parent) == ["libvirtd.conf"]
    assert host.records() == []


@pytest.mark.parametrize(
    ("flag", "error"),
    [
        ("fail-daemon-log-filters", NestdError),
        ("fail-daemon-log-outputs", InvalidOutput),
        ("ignore-daemon-log-filters", DaemonUnavailable),
        ("fail-get", DaemonUnavailable),
    ],
)
def test_a_daemon_that_fails_leaves_the_file(
    host: Host, flag: str, error: type[NestdError]
) -> None:
    async def test(daemon: LogDaemon) -> None:
        prepared = await daemon.prepare("1:qemu", "1:stderr", LogWhen.NOW)
        host.flag(flag)
        with pytest.raises(error):
            await daemon.apply(prepared, 0)

    run(host, test)
    assert host.config.read_text() == "# mine\n"
    assert os.listdir(host.config.parent) == ["libvirtd.conf"]
    assert host.settings == BEFORE


def test_a_file_that_an_editor_changed_meanwhile_leaves_the_daemon(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(daemon: LogDaemon) -> None:
        prepared = await daemon.prepare("1:qemu", None, LogWhen.NOW)
        apply = daemon._runtime.apply

        async def edit(*arguments: object) -> None:
            await apply(*arguments)  # type: ignore[arg-type]
            host.config.write_text("# theirs\n")

        monkeypatch.setattr(daemon._runtime, "apply", edit)
        with pytest.raises(FileChanged, match="changed meanwhile"):
            await daemon.apply(prepared, 0)

    run(host, test)
    assert host.settings == BEFORE
    assert host.config.read_text() == "# theirs\n"
    assert os.listdir(host.config.parent) == ["libvirtd.conf"]
    assert host.records() == []


def test_an_edit_while_a_password_was_asked_for_is_kept(host: Host) -> None:
    async def test(daemon: LogDaemon) -> None:
        prepared = await daemon.prepare("1:qemu", None, LogWhen.START)
        host.config.write_text("# theirs\n")
        await daemon.apply(prepared, 0)

    run(host, test)
    assert host.config.read_text() == '# theirs\nlog_filters = "1:qemu"\n'


def test_a_restart_that_fails_undoes_the_file(host: Host) -> None:
    async def test(daemon: LogDaemon) -> None:
        with pytest.raises(RolledBack):
            await change(daemon, LogWhen.START, restart=True)

    run(host, test)
    unchanged(host)
    assert host.units.calls == ["restart", "start"]


def test_a_daemon_that_did_not_run_is_neither_restarted_nor_started(host: Host) -> None:
    host.end()

    async def test(daemon: LogDaemon) -> None:
        await change(daemon, LogWhen.START, restart=True)

    run(host, test)
    assert host.units.calls == []


def save_meanwhile(host: Host, daemon: LogDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an editor save the file between a change's two halves, the daemon's and the file's."""
    apply = daemon._runtime.apply

    async def edit(settings: LogSettings) -> None:
        await apply(settings)
        host.config.write_text("# theirs\n")

    monkeypatch.setattr(daemon._runtime, "apply", edit)


def test_a_commit_that_fails_before_a_restart_leaves_the_daemon_as_it_was(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(daemon: LogDaemon) -> None:
        save_meanwhile(host, daemon, monkeypatch)
        with pytest.raises(FileChanged, match="Nothing was changed"):
            await change(daemon, restart=True)

    run(host, test)
    assert host.settings == BEFORE
    assert host.config.read_text() == "# theirs\n"
    assert host.units.calls == []
    assert host.records() == []


def test_a_file_that_became_unreadable_for_libvirt_is_not_restarted_into(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Replacement.commit

    def spoil(replacement: Replacement) -> None:
        commit(replacement)
        host.config.write_text("log_filters = 1:a\n")

    monkeypatch.setattr(Replacement, "commit", spoil)

    async def test(daemon: LogDaemon) -> None:
        with pytest.raises(ConfigUnparsable, match="No restart"):
            await change(daemon, restart=True)

    run(host, test)
    assert host.settings == BEFORE
    assert host.units.calls == []
    assert host.config.read_text() == "log_filters = 1:a\n"  # theirs


def test_what_cannot_be_undone_is_told_and_undone_at_the_next_start(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon no longer answers, and the file cannot be restored."""

    def fail(replacement: Replacement) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(replacement.target))

    async def test(daemon: LogDaemon) -> None:
        host.units.fails = True
        monkeypatch.setattr(Replacement, "undo", fail)
        with pytest.raises(NotRestored) as caught:
            await change(daemon, restart=True)
        assert "/etc/libvirt/libvirtd.conf has the new settings" in str(caught.value)
        assert "Read-only file system" in str(caught.value)
        assert "libvirtd does not start" in str(caught.value)
        monkeypatch.undo()

    async def start_again(daemon: LogDaemon) -> None:
        await daemon.resume()

    run(host, test)
    assert host.records() == ["libvirtd.change"]
    assert "1:qemu" in host.config.read_text()
    host.begin()
    run(host, start_again)
    assert host.config.read_text() == "# mine\n"
    assert host.records() == []


def test_an_undo_that_fails_again_stays_on_record(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(daemon: LogDaemon) -> None:
        save_meanwhile(host, daemon, monkeypatch)
        edit = daemon._runtime.apply

        async def break_down(settings: LogSettings) -> None:
            await edit(settings)
            host.flag("fail-get")

        monkeypatch.setattr(daemon._runtime, "apply", break_down)
        with pytest.raises(NotRestored, match=r"was changed meanwhile.* could not be undone"):
            await change(daemon)

    async def start_again(daemon: LogDaemon) -> None:
        await daemon.resume()

    run(host, test)
    assert host.settings != BEFORE
    run(host, start_again)
    assert host.records() == ["libvirtd.change"]
    host.flag("fail-get", there=False)
    run(host, start_again)
    assert host.settings == BEFORE
    assert host.records() == []
    assert host.config.read_text() == "# theirs\n"


def test_no_restart_with_a_file_that_keeps_the_daemon_down(host: Host) -> None:
    host.config.write_text("log_level = 9\n")

    async def test(daemon: LogDaemon) -> None:
        with pytest.raises(ConfigUnparsable, match="log_level is 9"):
            await change(daemon, LogWhen.START, restart=True)

    run(host, test)
    assert host.units.calls == []
    assert host.config.read_text() == "log_level = 9\n"


def test_a_change_that_was_cut_off_is_undone(host: Host) -> None:
    async def cut_off(daemon: LogDaemon) -> None:
        prepared = await daemon.prepare("1:qemu", None, LogWhen.NOW)
        assert prepared.running is not None
        await daemon._pending.begin(daemon._service.process(), prepared.running, None)
        await daemon._runtime.apply(prepared.settings)

    async def start_again(daemon: LogDaemon) -> None:
        assert host.settings != BEFORE
        await daemon.resume()

    (host.config.parent / ".libvirtd.conf.nestd-xyz").touch()
    run(host, cut_off)
    assert host.records() == ["libvirtd.change"]
    run(host, start_again)
    unchanged(host)


def test_a_daemon_that_hangs_is_given_up(host: Host) -> None:
    host.flag("hang")

    async def test(daemon: LogDaemon) -> None:
        started = time.monotonic()
        with pytest.raises(DaemonUnavailable, match="did not end within"):
            await daemon.running()
        with pytest.raises(DaemonUnavailable):
            await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)
        assert time.monotonic() - started < 5

    run(host, test, seconds=0.3)
    host.flag("hang", there=False)
    unchanged(host)


@pytest.mark.parametrize("flag", ["fail-daemon-log-filters", "fail-daemon-log-outputs"])
def test_a_session_that_cannot_begin_leaves_nothing(host: Host, flag: str) -> None:
    host.flag(flag)

    async def test(daemon: LogDaemon) -> None:
        with pytest.raises(NestdError):
            await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)
        assert daemon.state.debug.until == 0

    run(host, test)
    assert host.settings[0] == BEFORE[0]
    assert host.records() == []


def test_a_session_that_breaks_down_half_way_is_undone_as_soon_as_that_works(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filters are set, then the daemon no longer answers."""
    monkeypatch.setattr(debug_keeper, "RETRY_SECONDS", 0.1)
    apply = Runtime.apply

    async def break_down(runtime: Runtime, settings: LogSettings) -> None:
        await apply(runtime, settings)
        host.flag("fail-get")
        raise ConnectionResetError("gone")

    async def test(daemon: LogDaemon) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Runtime, "apply", break_down)
            with pytest.raises(NotRestored, match="libvirtd may write debug logs"):
                await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)
        assert daemon.state.debug.until  # reported, and recorded
        assert host.records() == ["libvirtd.debug"]
        host.flag("fail-get", there=False)
        while daemon.state.debug.until:
            await asyncio.sleep(0.05)

    run(host, test)
    unchanged(host)


def test_a_session_that_breaks_down_half_way_is_undone_by_the_next_nestd(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Runtime.apply

    async def break_down(runtime: Runtime, settings: LogSettings) -> None:
        await apply(runtime, settings)
        host.flag("fail-get")
        raise ConnectionResetError("gone")

    async def test(daemon: LogDaemon) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Runtime, "apply", break_down)
            with pytest.raises(NotRestored):
                await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)

    async def start_again(daemon: LogDaemon) -> None:
        await daemon.resume()
        while daemon.state.debug.until:
            await asyncio.sleep(0.05)

    run(host, test)
    assert host.settings != BEFORE
    host.flag("fail-get", there=False)
    run(host, start_again)
    unchanged(host)


def test_any_failure_of_a_session_restores_what_was_there(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(runtime: Runtime, seconds: int) -> bool:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(Runtime, "set_timeout", lose)
    monkeypatch.setattr(debug_keeper, "timeout_of", lambda process: 120)

    async def test(daemon: LogDaemon) -> None:
        with pytest.raises((ConnectionResetError, NotRestored)):
            await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)
        assert host.settings == BEFORE

    run(host, test)


def test_an_idle_daemon_is_started_by_its_unit(host: Host) -> None:
    host.end()
    host.units.listening = True

    async def test(daemon: LogDaemon) -> None:
        assert daemon.state.activation is Activation.SOCKET
        with pytest.raises(DaemonUnavailable, match=r"systemctl start libvirtd\.service"):
            await daemon.running()
        await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)
        await daemon.look()
        assert daemon.state.activation is Activation.RUNNING
        assert daemon.state.debug.file == "/var/log/libvirt/libvirtd-debug.log"
        assert daemon.state.debug.filters.startswith("1:libvirt 1:qemu")
        await daemon.debug.stop(0)
        host.end()
        await daemon.apply(await daemon.prepare("1:qemu", None, LogWhen.RUNTIME), 0)

    run(host, test)
    assert host.units.calls == ["start", "start"]
    assert host.settings[0] == "1:*qemu* "
    assert host.config.read_text() == "# mine\n"


def test_a_stopped_daemon_is_never_started(host: Host) -> None:
    host.end()

    async def test(daemon: LogDaemon) -> None:
        assert daemon.state.activation is Activation.STOPPED
        with pytest.raises(DaemonUnavailable):
            daemon.prepare_debug("qemu", None, 60, None)
        with pytest.raises(DaemonUnavailable):
            await daemon.prepare("1:qemu", None, LogWhen.RUNTIME)
        await change(daemon)  # the file alone

    run(host, test)
    assert host.units.calls == []
    assert host.settings == BEFORE
    assert "1:qemu" in host.config.read_text()


def test_what_a_session_has_written_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug_keeper, "LOOK_SECONDS", 0.05)

    async def test(daemon: LogDaemon) -> None:
        await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)
        (host.root / "var/log/libvirt/libvirtd-debug.log").write_text("x" * 1000)
        while daemon.state.debug.written != 1000:
            await asyncio.sleep(0.02)
        await daemon.debug.stop(0)
        assert daemon.state.debug == NO_SESSION

    run(host, test)


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_neither_ends_a_session_nor_prolongs_it(
    host: Host, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(debug_keeper, "LOOK_SECONDS", 0.05)
    clock = time.time_ns

    async def test(daemon: LogDaemon) -> None:
        await daemon.debug.start(daemon.prepare_debug("qemu", None, 600, None), 0)
        before = daemon.state.debug.until
        monkeypatch.setattr(time, "time_ns", lambda: clock() + days * 86_400_000_000_000)
        while daemon.state.debug.until == before:
            await asyncio.sleep(0.02)
        moved = daemon.state.debug.until - before - days * 86_400_000_000
        assert abs(moved) < 2_000_000  # microseconds: it ends at its original time
        assert host.settings != BEFORE
        await daemon.debug.stop(0)

    run(host, test)
    assert host.settings == BEFORE


def test_a_session_that_cannot_be_noted_down_does_not_begin(host: Host) -> None:
    (host.root / "run/nestd").write_text("in the way")

    async def test(daemon: LogDaemon) -> None:
        with pytest.raises(WriteFailed):
            await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)

    run(host, test)
    assert host.settings == BEFORE


def test_an_end_that_fails_is_tried_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug_keeper, "RETRY_SECONDS", 0.1)

    async def test(daemon: LogDaemon) -> None:
        await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)
        host.flag("fail-daemon-log-filters")
        with pytest.raises(DaemonUnavailable):
            await daemon.debug.stop(0)
        assert daemon.state.debug.until != 0
        host.flag("fail-daemon-log-filters", there=False)
        while daemon.state.debug.until:
            await asyncio.sleep(0.05)

    run(host, test)
    unchanged(host)


def test_a_daemon_that_is_gone_at_the_end_is_let_be(host: Host) -> None:
    async def test(daemon: LogDaemon) -> None:
        await daemon.debug.start(daemon.prepare_debug("qemu", None, 60, None), 0)
        host.process.kill()
        host.process.wait()
        await daemon.debug.stop(0)
        assert daemon.state.debug.until == 0

    run(host, test)
    assert host.records() == []


@pytest.mark.parametrize("record", [b"", b"{}", b"[1]", b"\xff", b'{"target": 1}', b"null"])
def test_damaged_records_are_dropped(host: Host, record: bytes) -> None:
    records = UndoRecords(Root(host.root))
    records.write("libvirtd.debug", record)
    records.write("libvirtd.change", record)

    async def test(daemon: LogDaemon) -> None:
        await daemon.resume()
        assert daemon.state.debug.until == 0

    run(host, test)
    unchanged(host)


def told(caplog: pytest.LogCaptureFixture, event: Event) -> list[dict[str, str]]:
    fields = [getattr(record, "journal_fields", {}) for record in caplog.records]
    return [dict(each) for each in fields if each.get("MESSAGE_ID") == event.message_id]


def test_changes_and_sessions_leave_entries(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="nestd")

    async def test(daemon: LogDaemon) -> None:
        change = await daemon.prepare("1:qemu", "1:stderr", LogWhen.START)
        await daemon.apply(change, 1000)
        await daemon.debug.start(daemon.prepare_debug("1:util", None, 60, None), 1000)
        await daemon.debug.stop(1001)

    run(host, test)
    common = {"NESTD_DAEMON": "libvirtd", "NESTD_CALLER_UID": "1000"}
    assert told(caplog, Event.FILTERS_CHANGED) == [
        {
            **common,
            "MESSAGE_ID": Event.FILTERS_CHANGED.message_id,
            "NESTD_WHEN": "start",
            "NESTD_FILTERS": "1:qemu",
            "NESTD_OUTPUTS": "1:stderr",
            "NESTD_FILE": "/etc/libvirt/libvirtd.conf",
        }
    ]
    assert told(caplog, Event.DEBUG_STARTED) == [
        {**common, "MESSAGE_ID": Event.DEBUG_STARTED.message_id, "NESTD_FILTERS": "1:util"}
    ]
    [ended] = told(caplog, Event.DEBUG_ENDED)
    assert ended["NESTD_CALLER_UID"] == "1001"


def test_beside_another_nestd_only_reading_is_served(host: Host) -> None:
    async def test(daemon: LogDaemon) -> None:
        await daemon.debug.start(daemon.prepare_debug("1:util", None, 60, None), 0)
        second = await host.daemon(is_ours=False)
        for when in LogWhen:
            with pytest.raises(NotSupported, match="Another nestd"):
                await second.prepare("1:qemu", None, when)
        with pytest.raises(NotSupported, match="Another nestd"):
            second.prepare_debug("1:qemu", None, 60, None)
        assert (await second.plan("1:qemu", None)).steps
        assert (await second.running()).filters == "1:*util* "

    run(host, test)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.LogDaemon with the real libvirtd: read, check, plan, set, and debug sessions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import libvirtd as real
import pytest
from libvirtd import Libvirtd
from private_bus import PrivateBus
from running_nestd import MANAGER, ROOT, Client, Nestd, client_of, running_nestd

from nestd.dbus.errors import BusError
from nestd.dbus.values import Variant

pytestmark = pytest.mark.libvirtd
LOG_DAEMON = "org.nestd1.LogDaemon"
PATH = f"{ROOT}/log/libvirtd"
OWN = "org.nestd1.Error."
CONFIGURED = 'log_outputs = "3:file:/var/log/libvirt/libvirtd.log"\n'
OUTPUTS = "3:file:/var/log/libvirt/libvirtd.log"
DEBUG_OUTPUT = "1:file:/var/log/libvirt/libvirtd-debug.log"


@pytest.fixture
def libvirtd(tmp_path: Path) -> Iterator[Libvirtd]:
    with real.running(tmp_path / "root") as libvirtd:
        yield libvirtd


@pytest.fixture
def nestd(bus: PrivateBus, tmp_path: Path, libvirtd: Libvirtd) -> Iterator[Nestd]:
    with running_nestd(bus.address, tmp_path, "--log-level", "debug") as nestd:
        yield nestd


def run(nestd: Nestd, test: Callable[[Client], Awaitable[None]]) -> None:
    async def body() -> None:
        async with client_of(nestd) as client:
            await test(client)

    asyncio.run(body())


async def refused(call: Awaitable[object]) -> BusError:
    with pytest.raises(BusError) as caught:
        await call
    text = caught.value.text
    assert text.endswith("."), text
    assert "\n" not in text
    return caught.value


async def get(client: Client, *names: str) -> list[object]:
    return [await client.get(PATH, LOG_DAEMON, name) for name in names]


async def running(client: Client) -> tuple[object, ...]:
    return await client.call(PATH, LOG_DAEMON, "GetRunning")


async def set_filters(client: Client, filters: str, when: str, **options: Variant) -> None:
    await client.call(PATH, LOG_DAEMON, "SetFilters", "ssa{sv}", filters, when, options)


async def start_debug(client: Client, filters: str, seconds: int, **options: Variant) -> None:
    await client.call(PATH, LOG_DAEMON, "StartDebug", "sua{sv}", filters, seconds, options)


async def ended(client: Client, seconds: float = 15) -> None:
    await asyncio.wait_for(client.wait_for_property(PATH, "DebugUntil", 0), seconds)


def test_properties_and_what_runs(nestd: Nestd) -> None:
    async def test(client: Client) -> None:
        [path] = await client.call(ROOT, MANAGER, "GetLogDaemon", "s", "libvirtd")
        assert path == PATH
        assert await get(client, "Name", "ConfigFile", "Active", "Filters", "Outputs", "Level") == [
            "libvirtd",
            "/etc/libvirt/libvirtd.conf",
            True,
            "",
            OUTPUTS,
            0,
        ]
        assert await get(client, "OverriddenBy", "DebugUntil", "ConfigError") == ["", 0, ""]
        assert await running(client) == ("", OUTPUTS)
        error = await refused(client.call(ROOT, MANAGER, "GetLogDaemon", "s", "virtlogd"))
        assert error.name.endswith(".InvalidArgs")

    run(nestd, test)


def test_start_writes_the_file_alone_and_is_used_from_the_next_start(
    nestd: Nestd, libvirtd: Libvirtd
) -> None:
    async def test(client: Client) -> None:
        await set_filters(client, "1:qemu 3:remote", "start")
        assert libvirtd.config.read_text() == CONFIGURED + 'log_filters = "1:qemu 3:remote"\n'
        assert await get(client, "Filters") == ["1:qemu 3:remote"]
        assert await running(client) == ("", OUTPUTS)
        libvirtd.restart()
        assert libvirtd.filters() == "1:*qemu* 3:*remote* "
        await set_filters(client, "", "start")
        assert libvirtd.config.read_text() == CONFIGURED

    run(nestd, test)


def test_runtime_sets_the_daemon_alone(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        outputs = Variant("s", f"{OUTPUTS} 4:stderr")
        await set_filters(client, "1:qemu", "runtime", outputs=outputs)
        assert await running(client) == ("1:qemu", f"{OUTPUTS} 4:stderr")
        assert libvirtd.config.read_text() == CONFIGURED
        await set_filters(client, "", "runtime")
        assert libvirtd.filters() == ""

    run(nestd, test)


def test_now_sets_both(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        await set_filters(client, "qmp", "now")
        assert libvirtd.filters() == "2:*qemu.qemu_monitor* 3:*** "
        assert 'log_filters = "2:qemu.qemu_monitor 3:*"\n' in libvirtd.config.read_text()
        written = libvirtd.config.stat()
        await set_filters(client, "2:qemu.qemu_monitor 3:*", "now")
        assert libvirtd.config.stat().st_ino == written.st_ino

    run(nestd, test)


def test_now_with_a_file_that_cannot_be_written_leaves_the_daemon_as_it_was(
    nestd: Nestd, libvirtd: Libvirtd
) -> None:
    async def test(client: Client) -> None:
        libvirtd.admin("daemon-log-filters", "1:*a* 2:++b")
        before = libvirtd.filters()
        libvirtd.config.write_text('log_filters = "1:x\n')
        error = await refused(set_filters(client, "1:qemu", "now"))
        assert error.name == f"{OWN}ConfigUnparsable"
        assert "/etc/libvirt/libvirtd.conf:1: unterminated string" in error.text
        assert libvirtd.filters() == before == "1:**a** 2:*+b* "

    run(nestd, test)


def test_bad_filters_and_outputs_are_refused(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        for filters in ("5:x", "1:a\t2:b", "1:\n", '1:"', "nonsense", "1:" + "a" * 1_000_000):
            for when in ("now", "runtime", "start"):
                error = await refused(set_filters(client, filters, when))
                assert error.name == f"{OWN}InvalidFilter"
        link = libvirtd.logs / "link"
        link.symlink_to("/etc")
        for outputs in (
            "1:file:/etc/passwd",
            "1:file:/var/log/libvirt/../x",
            "1:file:/var/log/libvirt/link/x",
            "1:file:/var/log/libvirt/none/x",
            "1:file:/var/log/libvirt",
            "0:stderr",
            "1:bar",
        ):
            error = await refused(
                set_filters(client, "1:qemu", "now", outputs=Variant("s", outputs))
            )
            assert error.name == f"{OWN}InvalidOutput", outputs
        assert libvirtd.config.read_text() == CONFIGURED
        assert libvirtd.filters() == ""

    run(nestd, test)


def test_a_file_that_the_administrator_chose_may_stay(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        (libvirtd.root / "dev").mkdir()
        libvirtd.config.write_text('log_outputs = "3:file:/dev/null"\n')
        outputs = Variant("s", "1:file:/dev/null")
        await set_filters(client, "1:qemu", "start", outputs=outputs)
        assert libvirtd.config.read_text() == (
            'log_outputs = "1:file:/dev/null"\nlog_filters = "1:qemu"\n'
        )

    run(nestd, test)


def test_plan_and_check(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        [plan] = await client.call(PATH, LOG_DAEMON, "Plan", "sa{sv}", "1:qemu", {})
        assert isinstance(plan, dict)
        assert plan["diff"].value == (
            "--- /etc/libvirt/libvirtd.conf\n+++ /etc/libvirt/libvirtd.conf\n@@ -1 +1,2 @@\n"
            f' {CONFIGURED}+log_filters = "1:qemu"\n'
        )
        assert any("No output shows" in warning for warning in plan["warnings"].value)
        canonical, warnings = await client.call(
            PATH, LOG_DAEMON, "CheckFilters", "ss", "1:*qemu* 1:qemu.x 1:nosuch", "3:journald"
        )
        assert canonical == "1:qemu 1:qemu.x 1:nosuch"
        assert isinstance(warnings, list)
        assert len(warnings) >= 3
        assert libvirtd.config.read_text() == CONFIGURED

    run(nestd, test)


def test_active_follows_the_process(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            libvirtd.stop(how)
            await client.wait_for_property(PATH, "Active", False)
            error = await refused(running(client))
            assert error.name == f"{OWN}DaemonUnavailable"
            error = await refused(set_filters(client, "1:qemu", "runtime"))
            assert error.name == f"{OWN}DaemonUnavailable"
            error = await refused(start_debug(client, "qemu", 5))
            assert error.name == f"{OWN}DaemonUnavailable"
            libvirtd.start()
            await client.wait_for_property(PATH, "Active", True)

    run(nestd, test)


def test_overrides_of_the_process_are_told(
    bus: PrivateBus, tmp_path: Path, libvirtd: Libvirtd
) -> None:
    libvirtd.stop()
    libvirtd.environment["LIBVIRT_LOG_FILTERS"] = "1:util"
    libvirtd.arguments = ("--verbose", "--timeout", "60")
    libvirtd.start()

    async def test(client: Client) -> None:
        assert await get(client, "OverriddenBy") == [
            "LIBVIRT_LOG_FILTERS in its environment, --verbose on its command line"
        ]

    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, test)


def test_a_configuration_that_changes_is_told(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        libvirtd.config.write_text('log_level = 2\nlog_filters = "1:*a*"\n')
        await client.wait_for_property(PATH, "Filters", "1:a")
        assert await get(client, "Level", "Outputs") == [2, ""]
        libvirtd.config.write_text('log_filters = "1:qemu"\nx = \n')
        error = "/etc/libvirt/libvirtd.conf:2: expecting a value"
        await client.wait_for_property(PATH, "ConfigError", error)
        libvirtd.config.write_text('log_filters = "5:qemu"\n')
        rule = "filter 1, '5:qemu', at character 1: the level must be a number from 1 to 4"
        error = f"/etc/libvirt/libvirtd.conf:1: {rule}"
        await client.wait_for_property(PATH, "ConfigError", error)
        await set_filters(client, "1:qemu", "start")
        assert await get(client, "ConfigError", "Filters") == ["", "1:qemu"]
        libvirtd.config.unlink()
        await client.wait_for_property(PATH, "Filters", "")

    run(nestd, test)


async def told(client: Client, beginning: str) -> None:
    """Wait until ConfigError begins with this text: an event must arrive first."""
    for _ in range(100):
        [error] = await get(client, "ConfigError")
        if str(error).startswith(beginning):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(error)


def test_odd_configuration_files(nestd: Nestd, libvirtd: Libvirtd, tmp_path: Path) -> None:
    def content(data: bytes) -> Callable[[], None]:
        return lambda: libvirtd.config.write_bytes(data) and None

    def link() -> None:
        libvirtd.config.symlink_to("/nowhere")

    def large() -> None:
        libvirtd.config.write_bytes(b"# " + b"x" * 98 + b"\n")
        os.truncate(libvirtd.config, 50 << 20)

    bad = {
        "binary": content(bytes(range(256)) * 10),
        "blank": content(b" \n \n"),
        "link": link,
        "directory": libvirtd.config.mkdir,
        "large": large,
        "fifo": lambda: os.mkfifo(libvirtd.config),
    }

    async def test(client: Client) -> None:
        for name, make in bad.items():
            libvirtd.config.unlink()
            make()
            error = await refused(set_filters(client, "1:qemu", "now"))
            assert error.name == f"{OWN}ConfigUnparsable", name
            assert libvirtd.filters() == ""
            leftovers = [each for each in os.listdir(libvirtd.config.parent) if "nestd" in each]
            assert leftovers == []
            if name != "directory":  # which no event announces
                await told(client, "/etc/libvirt/libvirtd.conf")
            if libvirtd.config.is_dir():
                libvirtd.config.rmdir()
                libvirtd.config.touch()
        libvirtd.config.unlink()
        await set_filters(client, "1:qemu", "start")
        assert libvirtd.config.read_text() == 'log_filters = "1:qemu"\n'
        libvirtd.config.write_bytes(b"")
        await set_filters(client, "1:qemu", "start")
        assert libvirtd.config.read_text() == 'log_filters = "1:qemu"\n'
        target = nestd.root / "etc/elsewhere.conf"
        target.write_text("# mine\n")
        libvirtd.config.unlink()
        libvirtd.config.symlink_to("/etc/elsewhere.conf")  # as from inside the root
        await set_filters(client, "1:qemu", "start")
        assert libvirtd.config.is_symlink()
        assert target.read_text() == '# mine\nlog_filters = "1:qemu"\n'

    run(nestd, test)


def test_debug_session_ends_with_what_was_there_before(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        libvirtd.admin("daemon-log-filters", "1:*a* 3:++b")
        before = libvirtd.filters(), libvirtd.outputs()
        started = time.time()
        await start_debug(client, "1:*", 4)
        [until] = await get(client, "DebugUntil")
        assert isinstance(until, int)
        assert started + 3.9 < until / 1e6 < started + 12
        assert await running(client) == ("1:*", f"{OUTPUTS} {DEBUG_OUTPUT}")
        error = await refused(set_filters(client, "1:qemu", "now"))
        assert error.name == f"{OWN}Busy"
        await ended(client)
        assert time.time() - started >= 4
        assert (libvirtd.filters(), libvirtd.outputs()) == before
        assert " debug : " in (libvirtd.logs / "libvirtd-debug.log").read_text()
        assert os.listdir(libvirtd.root / "run/nestd/logs") == []

    run(nestd, test)


def test_stop_debug_and_a_second_start(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        before = libvirtd.filters(), libvirtd.outputs()
        await client.call(PATH, LOG_DAEMON, "StopDebug")
        await start_debug(client, "qemu", 600)
        await start_debug(client, "1:util", 500, outputs=Variant("s", "1:stderr"))
        assert await running(client) == ("1:util", "1:stderr")
        await client.call(PATH, LOG_DAEMON, "StopDebug")
        assert (libvirtd.filters(), libvirtd.outputs()) == before
        assert await get(client, "DebugUntil") == [0]

    run(nestd, test)


def test_debug_session_ends_when_too_much_is_logged(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        await start_debug(client, "1:*", 600, max_bytes=Variant("t", 100))
        for _ in range(3):
            libvirtd.outputs()
        await ended(client)
        assert (libvirtd.filters(), libvirtd.outputs()) == ("", OUTPUTS)

    run(nestd, test)


def test_debug_limits(nestd: Nestd) -> None:
    async def test(client: Client) -> None:
        for seconds in (0, 604_801, 2**32 - 1):
            error = await refused(start_debug(client, "qemu", seconds))
            assert error.name.endswith(".InvalidArgs")
        error = await refused(start_debug(client, "qemu", 5, max_bytes=Variant("t", 0)))
        assert error.name.endswith(".InvalidArgs")
        error = await refused(start_debug(client, "", 5))
        assert error.name == f"{OWN}InvalidFilter"

    run(nestd, test)


def test_debug_session_outlives_the_daemon(nestd: Nestd, libvirtd: Libvirtd) -> None:
    async def test(client: Client) -> None:
        libvirtd.admin("daemon-log-filters", "1:gone")
        await start_debug(client, "1:qemu", 600)
        libvirtd.restart()
        deadline = time.monotonic() + 15
        while (await running(client))[0] != "1:qemu":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        await client.call(PATH, LOG_DAEMON, "StopDebug")
        assert (libvirtd.filters(), libvirtd.outputs()) == ("", OUTPUTS)

    run(nestd, test)


@pytest.mark.parametrize("while_away", ["time passes", "daemon restarts", "nothing"])
def test_debug_session_outlives_nestd(
    bus: PrivateBus, tmp_path: Path, libvirtd: Libvirtd, while_away: str
) -> None:
    libvirtd.admin("daemon-log-filters", "1:*a*")
    before = libvirtd.filters(), libvirtd.outputs()

    async def begin(client: Client) -> None:
        await start_debug(client, "1:qemu", 3)

    async def finish(client: Client) -> None:
        if (await get(client, "DebugUntil")) != [0]:
            await ended(client)

    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, begin)
        nestd.kill()
    assert libvirtd.filters() == "1:*qemu* "
    if while_away == "time passes":
        time.sleep(3)
    elif while_away == "daemon restarts":
        libvirtd.restart()
        before = "", OUTPUTS
    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, finish)
    assert (libvirtd.filters(), libvirtd.outputs()) == before


def test_debug_session_outlasts_the_idle_exit(
    bus: PrivateBus, tmp_path: Path, libvirtd: Libvirtd
) -> None:
    libvirtd.stop()
    libvirtd.arguments = ("--timeout", "2")

    async def test(client: Client) -> None:
        libvirtd.start()  # here, since it disappears after two seconds
        await client.wait_for_property(PATH, "Active", True)
        await start_debug(client, "1:qemu", 6)
        await asyncio.sleep(5)
        assert libvirtd.process is not None
        assert libvirtd.process.poll() is None
        await ended(client)
        await client.wait_for_property(PATH, "Active", False)

    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, test)


def test_no_libvirt_no_objects(bus: PrivateBus, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()

    async def test(client: Client) -> None:
        [objects] = await client.call(
            ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"
        )
        assert isinstance(objects, dict)
        assert not [path for path in objects if "/log/" in path]
        error = await refused(client.call(ROOT, MANAGER, "GetLogDaemon", "s", "libvirtd"))
        assert "none" in error.text
        (tmp_path / "root/usr/sbin").mkdir(parents=True)
        (tmp_path / "root/usr/sbin/virtqemud").touch()
        await client.wait_for(lambda signal: signal.member == "InterfacesAdded")
        [path] = await client.call(ROOT, MANAGER, "GetLogDaemon", "s", "virtqemud")
        assert await client.get(str(path), LOG_DAEMON, "Active") is False

    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, test)


@pytest.mark.parametrize("seed", range(8))
def test_nestd_killed_at_any_moment(
    bus: PrivateBus, tmp_path: Path, libvirtd: Libvirtd, seed: int
) -> None:
    """File and daemon change together or not at all, and a debug session ends as usual."""
    moment = random.Random(seed)
    libvirtd.admin("daemon-log-filters", "1:*a*")
    before = libvirtd.filters(), libvirtd.outputs()

    async def set_and_die(client: Client) -> None:
        call = asyncio.ensure_future(set_filters(client, "1:qemu", "now"))
        await asyncio.sleep(moment.uniform(0.05, 0.45))
        nestd.kill()
        with contextlib.suppress(BusError):
            await call

    async def debug_and_die(client: Client) -> None:
        call = asyncio.ensure_future(start_debug(client, "1:util", 2))
        await asyncio.sleep(moment.uniform(0.05, 0.6))
        nestd.kill()
        with contextlib.suppress(BusError):
            await call

    async def finish(client: Client) -> None:
        if await get(client, "DebugUntil") != [0]:
            await ended(client)

    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, set_and_die)
    with running_nestd(bus.address, tmp_path) as nestd:
        written = "1:qemu" in libvirtd.config.read_text()
        assert libvirtd.filters() == ("1:*qemu* " if written else before[0])
        leftovers = [name for name in os.listdir(libvirtd.config.parent) if name[0] == "."]
        assert leftovers == []
        before = libvirtd.filters(), libvirtd.outputs()
        run(nestd, debug_and_die)
    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, finish)
        assert (libvirtd.filters(), libvirtd.outputs()) == before
        assert not list((libvirtd.root / "run/nestd").glob("logs/*"))

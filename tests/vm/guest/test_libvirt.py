# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd's log settings, with libvirtd as packaged and started by systemd."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machines
import pytest
from client import MANAGER, ROOT, Client, Variant, refused, run

CONFIG = Path("/etc/libvirt/libvirtd.conf")
LOG = Path("/var/log/libvirt/libvirtd-debug.log")
DROP_IN = Path("/run/systemd/system/libvirtd.service.d/test.conf")
DAEMON = f"{ROOT}/log/libvirtd"
LOG_DAEMON = "org.nestd1.LogDaemon"
OWN = "org.nestd1.Error."


def command(*words: str) -> str:
    done = subprocess.run(words, check=True, timeout=60, stdout=subprocess.PIPE, text=True)
    return done.stdout


def admin(*words: str) -> str:
    return command("virt-admin", "-q", "-c", "libvirtd:///system", *words).rstrip("\n")


def in_use() -> tuple[str, str]:
    return admin("daemon-log-filters"), admin("daemon-log-outputs")


def main_pid(unit: str) -> int:
    return int(command("systemctl", "show", "--value", "--property", "MainPID", unit))


def state(unit: str) -> str:
    return subprocess.run(
        ["systemctl", "is-active", unit], stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def stop_libvirtd() -> None:
    """Stop only the service; its sockets start it again for the next client."""
    subprocess.run(["systemctl", "stop", "libvirtd.service"], check=True, stderr=subprocess.DEVNULL)


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    before = CONFIG.read_bytes()
    command("systemctl", "start", "libvirtd")
    yield
    CONFIG.write_bytes(before)
    DROP_IN.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    command("systemctl", "daemon-reload")
    command("systemctl", "reset-failed", "libvirtd")
    command("systemctl", "restart", "libvirtd")


async def set_filters(client: Client, filters: str, when: str, **options: Variant) -> None:
    await client.call(DAEMON, LOG_DAEMON, "SetFilters", "ssa{sv}", filters, when, options)


async def get(client: Client, name: str) -> Any:
    return await client.get(DAEMON, LOG_DAEMON, name)


def test_persistent_filters_survive_the_restart_of_libvirtd() -> None:
    async def test(client: Client) -> None:
        assert await client.call(ROOT, MANAGER, "GetLogDaemon", "s", "libvirtd") == DAEMON
        stock = CONFIG.read_bytes()
        before = in_use()
        outputs = "3:journald 1:file:/var/log/libvirt/libvirtd.log"
        await set_filters(client, "1:qemu 3:remote", "start", outputs=Variant("s", outputs))
        assert in_use() == before
        command("systemctl", "restart", "libvirtd")
        assert in_use() == ("1:*qemu* 3:*remote* ", outputs)
        lines = CONFIG.read_text().splitlines()
        example = lines.index('log_filters = "1:qemu 3:remote"') - 1
        assert lines[example].startswith("#log_filters=")
        await set_filters(client, "", "start", outputs=Variant("s", ""))
        assert CONFIG.read_bytes() == stock

    run(test)


def test_a_restart_that_is_asked_for_uses_the_file_and_spares_machines() -> None:
    async def test(client: Client) -> None:
        with machines.libvirt_domain("survivor") as pid:
            before = main_pid("libvirtd")
            await set_filters(client, "1:util", "start", restart=Variant("b", True))
            assert main_pid("libvirtd") not in (0, before)
            assert in_use()[0] == "1:*util* "
            assert os.path.exists(f"/proc/{pid}")
            assert "survivor" in command("virsh", "list", "--name")

    run(test)


def test_runtime_filters_apply_at_once() -> None:
    async def test(client: Client) -> None:
        stock, pid = CONFIG.read_bytes(), main_pid("libvirtd")
        await set_filters(client, "2:qemu", "runtime")
        assert in_use()[0] == "2:*qemu* "
        assert await client.call(DAEMON, LOG_DAEMON, "GetRunning") == ("2:qemu", "3:journald")
        assert (CONFIG.read_bytes(), main_pid("libvirtd")) == (stock, pid)
        await set_filters(client, "2:qemu", "now")
        assert CONFIG.read_bytes() != stock

    run(test)


@pytest.mark.parametrize("killed", [False, True])
def test_a_debug_session_leaves_a_log_and_the_former_settings(killed: bool) -> None:
    async def test(client: Client) -> None:
        admin("daemon-log-filters", "3:*remote* 4:event")
        before = in_use()
        started = time.monotonic()
        await client.call(DAEMON, LOG_DAEMON, "StartDebug", "sua{sv}", "all", 5, {})
        assert in_use() == (
            "3:*remote* 4:*event* 3:*util.json* 3:*rpc* 1:*** ",
            f"3:journald 1:file:{LOG}",
        )
        if killed:
            os.kill(main_pid("nestd"), signal.SIGKILL)
        command("virsh", "list")
        while in_use() != before:
            assert time.monotonic() < started + 60
            time.sleep(0.2)
        assert time.monotonic() >= started + 5
        assert " debug : " in LOG.read_text()

    run(test)


def test_broken_filters_are_refused_and_libvirtd_starts() -> None:
    async def test(client: Client) -> None:
        stock = CONFIG.read_bytes()
        for filters in ("5:qemu", "1:a\t2:b", '1:a"', "1:qemu 1:"):
            for when in ("now", "runtime", "start"):
                error = await refused(set_filters(client, filters, when))
                assert error.name == f"{OWN}InvalidFilter"
        assert CONFIG.read_bytes() == stock
        command("systemctl", "restart", "libvirtd")
        pid = main_pid("libvirtd")
        CONFIG.write_bytes(stock + b'log_outputs = "1:file:/nowhere/x"\n')
        restart = Variant("b", True)
        error = await refused(set_filters(client, "1:qemu", "start", restart=restart))
        assert error.name == f"{OWN}InvalidOutput"
        CONFIG.write_bytes(stock + b"log_level = 7\n")
        error = await refused(set_filters(client, "1:qemu", "start", restart=restart))
        assert error.name == f"{OWN}ConfigUnparsable"
        assert CONFIG.read_bytes() == stock + b"log_level = 7\n"
        assert main_pid("libvirtd") == pid

    run(test)


def test_a_restart_that_fails_leaves_the_file_as_it_was() -> None:
    async def test(client: Client) -> None:
        stock = CONFIG.read_bytes()
        CONFIG.write_bytes(stock + b'unix_sock_dir = "relative" \nmax_clients = "none"\n')
        broken = CONFIG.read_bytes()
        await client.becomes(DAEMON, LOG_DAEMON, "Active", True)
        error = await refused(set_filters(client, "1:qemu", "start", restart=Variant("b", True)))
        # With the previous file libvirtd does not start either, and the error says so.
        assert error.name == f"{OWN}NotRestored", error
        assert "libvirtd does not start" in str(error)
        assert CONFIG.read_bytes() == broken

    run(test)


def test_looking_starts_nothing() -> None:
    async def test(client: Client) -> None:
        stop_libvirtd()
        await client.changed(DAEMON, "Active", False)
        error = await refused(client.call(DAEMON, LOG_DAEMON, "GetRunning"))
        assert error.name == f"{OWN}DaemonUnavailable"
        await set_filters(client, "1:qemu", "start")
        assert await get(client, "Filters") == "1:qemu"
        await client.call(ROOT, MANAGER, "Describe")
        assert state("libvirtd.service") == "inactive"
        command("systemctl", "start", "libvirtd")
        await client.changed(DAEMON, "Active", True)
        assert in_use()[0] == "1:*qemu* "

    run(test)


def test_what_the_unit_sets_is_told() -> None:
    async def test(client: Client) -> None:
        assert await get(client, "OverriddenBy") == ""
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        DROP_IN.write_text("[Service]\nEnvironment=LIBVIRT_LOG_FILTERS=1:util LIBVIRT_DEBUG=2\n")
        command("systemctl", "daemon-reload")
        told = "LIBVIRT_DEBUG in the unit, LIBVIRT_LOG_FILTERS in the unit"
        await client.changed(DAEMON, "OverriddenBy", told)

    run(test)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines start and end at random while nestd waits to reload and is killed again and again."""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from client import JOB, ROOT, Client, run

from nestd.dbus.errors import BusError

SECONDS = 120
MACHINES = 20
KILLS = 50
NESTED = Path("/sys/module/kvm_amd/parameters/nested")
KVM_CONF = Path("/etc/modprobe.d/kvm.conf")
DROP_IN = Path("/run/systemd/system/nestd.service.d/storm.conf")
FOREIGN = b"# somebody's\noptions kvm ignore_msrs=0\n"
KVM_CREATE_VM, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY = 0xAE01, 0xAE03, 3


@pytest.fixture
def _restarts_always() -> Iterator[None]:
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text("[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=0\n")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    KVM_CONF.write_bytes(FOREIGN)
    yield
    KVM_CONF.unlink()
    DROP_IN.unlink()
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "restart", "nestd"], check=True)


class Storm:
    """The current activity, and counts of events."""

    def __init__(self) -> None:
        self.until = time.monotonic() + SECONDS
        self.calm = asyncio.Event()  # set while machines may be made
        self.calm.set()
        self.accepted = asyncio.Event()  # a request was accepted
        self.made = self.kills = self.asked = self.missing = 0
        self.disturbed: list[str] = []

    @property
    def over(self) -> bool:
        return time.monotonic() > self.until and self.kills >= KILLS

    async def machines(self) -> None:
        """One slot for a machine: create it, use it for a while, check it, end it, repeat."""
        while not self.over:
            await self.calm.wait()
            try:
                machine = _create()
            except OSError:  # /dev/kvm is absent for a moment during a reload
                self.missing += 1
                await asyncio.sleep(0.2)
                continue
            self.made += 1
            await asyncio.sleep(random.uniform(0.2, 3))
            if fcntl.ioctl(machine, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) != 1:
                self.disturbed.append("a machine lost its KVM")
            os.close(machine)

    async def pauses(self) -> None:
        """Now and then create no machine for a while, so that a waiting reload can run."""
        while not self.over:
            await asyncio.sleep(random.uniform(5, 12))
            self.calm.clear()
            await asyncio.sleep(random.uniform(3, 6))
            self.calm.set()

    async def killer(self) -> None:
        """Kill nestd: mostly while it starts and recovers, one time in five while it serves."""
        while self.kills < KILLS:
            if self.kills % 5 == 4:
                self.accepted.clear()
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.accepted.wait(), 20)
            await asyncio.sleep(random.uniform(0, 1.5))
            pid = await _main_pid()
            if pid:
                os.kill(pid, signal.SIGKILL)
                self.kills += 1

    async def clients(self, client: Client) -> None:
        while not self.over:
            await asyncio.sleep(random.uniform(0, 1))
            try:
                await client.set_nested("kvm_amd", random.random() < 0.5, "idle")
                self.asked += 1
                self.accepted.set()
            except (BusError, asyncio.TimeoutError):
                pass  # it was killed meanwhile


async def _main_pid() -> int:
    show = ["systemctl", "show", "--value", "--property=MainPID", "nestd"]
    done = await asyncio.create_subprocess_exec(*show, stdout=subprocess.PIPE)
    return int((await done.communicate())[0])


def _create() -> int:
    device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(device, KVM_CREATE_VM, 0)
    finally:
        os.close(device)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_restarts_always")
def test_no_machine_is_disturbed_and_all_agrees_in_the_end(record_property: Any) -> None:
    async def test(client: Client) -> None:
        storm = Storm()
        work = [storm.machines() for _ in range(MACHINES)]
        await asyncio.gather(*work, storm.pauses(), storm.killer(), storm.clients(client))
        record_property("machines made", storm.made)
        record_property("times /dev/kvm was away", storm.missing)
        record_property("idle requests accepted", storm.asked)
        record_property("kills", storm.kills)
        subprocess.run(["systemctl", "restart", "nestd"], check=True)
        await _no_job_left(client)
        assert storm.disturbed == []
        assert storm.made > MACHINES
        assert storm.kills == KILLS
        assert storm.asked > 0
        os.close(_create())
        lines = KVM_CONF.read_bytes()[len(FOREIGN) :].decode()
        assert KVM_CONF.read_bytes().startswith(FOREIGN)
        configured = lines.rpartition("nested=")[2].strip()
        assert configured in ("0", "1"), lines
        assert NESTED.read_text().strip() == configured
        said = await client.module("kvm_amd", "Nested")
        assert said == {"0": "no", "1": "yes"}[configured]
        assert await client.module("kvm_amd", "State") == "in-sync"
        assert os.listdir("/run/nestd/transactions") == []
        assert [name for name in os.listdir("/etc/modprobe.d") if name.startswith(".")] == []

    run(test)


async def _no_job_left(client: Client) -> None:
    """Wait for the end of every job; nothing blocks them any more."""
    objects = await client.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    for path, interfaces in objects.items():
        if JOB in interfaces and interfaces[JOB]["State"].value == "waiting":
            await client.ended(path)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inhibitors and waiting jobs over D-Bus."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest
from private_bus import PrivateBus
from raw_client import RawClient
from running_nestd import JOB, MANAGER, ROOT, Client, Nestd, client_of, running_nestd

from nestd.dbus.connection import protocol
from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError

LIMIT = 16


async def inhibit(connection: Connection, who: str) -> int:
    [guard] = await connection.call(
        "org.nestd1", ROOT, MANAGER, "Inhibit", "ss", [who, "to see"], take_descriptor=True
    )
    assert isinstance(guard, int)
    return guard


def test_a_descriptor_keeps_reloads_away_until_its_last_copy_is_closed(intel: Nestd) -> None:
    async def body() -> None:
        connection = await Connection.connect(intel.address, take_descriptors=True)
        async with client_of(intel) as client:
            guard = await inhibit(connection, "a backup")
            copy = os.dup(guard)
            [inhibitors] = await client.call(ROOT, MANAGER, "ListInhibitors")
            assert inhibitors == [("a backup", "to see", os.getuid(), os.getpid())]
            with pytest.raises(BusError, match="inhibitor a backup") as caught:
                await client.set_nested("kvm_intel", False, "now")
            assert caught.value.name == "org.nestd1.Error.Inhibited"
            job = await client.set_nested("kvm_intel", False, "idle")
            os.close(guard)
            connection.close()
            assert await client.get(job, JOB, "State") == "waiting"
            os.close(copy)
            assert await client.wait_for_job_end(job) == "done"
            assert await client.call(ROOT, MANAGER, "ListInhibitors") == ([],)
            assert await client.module("kvm_intel", "Nested") == ["no"]

    asyncio.run(body())


def test_one_user_has_so_many_and_no_more(intel: Nestd) -> None:
    async def body() -> None:
        connection = await Connection.connect(intel.address, take_descriptors=True)
        guards = [await inhibit(connection, f"number {number}") for number in range(LIMIT)]
        with pytest.raises(BusError, match="too many inhibitors") as caught:
            await inhibit(connection, "one more")
        assert caught.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
        for guard in guards:
            os.close(guard)
        connection.close()

    asyncio.run(body())


@pytest.mark.parametrize("who", ["", "x" * 1000, "line\nbreak", "\x1b[31m"])
def test_labels_are_for_people(intel: Nestd, who: str) -> None:
    async def body() -> None:
        connection = await Connection.connect(intel.address, take_descriptors=True)
        with pytest.raises(BusError, match="printable") as caught:
            await inhibit(connection, who)
        assert caught.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
        connection.close()

    asyncio.run(body())


async def wait_with(client: Client, nestd: Nestd, enabled: bool) -> str:
    nestd.start_machine("web01")
    await client.wait_for_property(ROOT, "MachineCount", 1)
    job = await client.set_nested("kvm_intel", enabled, "idle")
    assert await client.get(job, JOB, "State") == "waiting"
    return job


def test_the_latest_request_decides(intel: Nestd) -> None:
    async def body() -> None:
        async with client_of(intel) as client:
            first = await wait_with(client, intel, False)
            second = await client.set_parameters("kvm_intel", {"ept": "0"}, "idle")
            assert await client.wait_for_job_end(first) == "cancelled"
            with pytest.raises(BusError, match="is in use"):
                await client.set_parameters("kvm_intel", {"ple_gap": "64"}, "now")
            assert await client.get(second, JOB, "State") == "waiting"
            await client.set_parameters("kvm_intel", {"ept": "1"}, "boot")
            assert await client.wait_for_job_end(second) == "cancelled"

    asyncio.run(body())


def test_a_waiting_job_can_be_cancelled_and_only_a_waiting_one(intel: Nestd) -> None:
    async def body() -> None:
        async with client_of(intel) as client:
            job = await wait_with(client, intel, False)
            written = intel.kvm_conf.read_bytes()
            await client.call(job, JOB, "Cancel")
            assert await client.wait_for_job_end(job) == "cancelled"
            assert intel.kvm_conf.read_bytes() == written
            with pytest.raises(BusError, match="only a waiting job") as caught:
                await client.call(job, JOB, "Cancel")
            assert caught.value.name == "org.nestd1.Error.Busy"
            with pytest.raises(BusError, match="no job 4711") as caught:
                await client.call(ROOT, MANAGER, "GetJob", "u", 4711)
            assert caught.value.name == "org.nestd1.Error.NoSuchJob"

    asyncio.run(body())


def test_blockers_of_a_waiting_job_stay_current(intel: Nestd) -> None:
    async def body() -> None:
        async with client_of(intel) as client:
            job = await wait_with(client, intel, False)
            intel.start_machine("db01")
            await client.wait_for(
                lambda signal: (
                    signal.path == job
                    and signal.member == "PropertiesChanged"
                    and len(signal.args[1]["Blockers"].value) == 2
                )  # type: ignore[call-overload,index]
            )
            intel.end_machine("db01")
            intel.end_machine("web01")
            assert await client.wait_for_job_end(job) == "done"

    asyncio.run(body())


@pytest.mark.parametrize("politely", [True, False], ids=["restarted", "killed"])
def test_a_waiting_job_outlives_nestd(bus: PrivateBus, tmp_path: Path, politely: bool) -> None:
    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:

        async def before() -> str:
            async with client_of(nestd) as client:
                return await wait_with(client, nestd, False)

        job = asyncio.run(before())
        if politely:
            assert nestd.stop() == 0
        else:
            nestd.kill()
    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:

        async def after() -> None:
            async with client_of(nestd) as client:
                assert await client.get(job, JOB, "State") == "waiting"
                assert await client.module("kvm_intel", "State") == ["reload-pending"]
                nestd.end_machine("web01")
                assert await client.wait_for_job_end(job) == "done"
                assert await client.module("kvm_intel", "Nested", "State") == ["no", "in-sync"]
                # A number is not reused.
                assert await client.set_nested("kvm_intel", True, "now") == f"{ROOT}/job/2"

        asyncio.run(after())


def test_a_job_that_ends_at_the_start_is_told_of(bus: PrivateBus, tmp_path: Path) -> None:
    """nestd was killed in the middle of it; clients that wait for its end are notified."""

    async def begin(nestd: Nestd) -> str:
        async with client_of(nestd) as client:
            return await wait_with(client, nestd, False)

    async def look(nestd: Nestd, client: Client, job: str) -> None:
        assert await client.wait_for_job_end(job) == "rolled-back"
        assert await client.call(ROOT, MANAGER, "GetJob", "u", 1) == (job,)
        assert await client.get(job, JOB, "State") == "rolled-back"

    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
        job = asyncio.run(begin(nestd))
        nestd.kill()
    record = nestd.root / "run/nestd/transactions/1"
    text = record.read_bytes().replace(b'"waiting"', b'"unloading"').replace(b'"idle"', b'"now"')
    record.write_bytes(text)

    async def body() -> None:
        async with client_of(nestd) as client:  # connected before nestd starts
            with running_nestd(bus.address, tmp_path, "--simulate", "intel") as again:
                await look(again, client, job)

    asyncio.run(body())


def test_what_is_written_into_the_descriptor_wakes_nobody(intel: Nestd) -> None:
    """Only hangup counts, so nestd does not poll the descriptor before."""

    async def body() -> None:
        connection = await Connection.connect(intel.address, take_descriptors=True)
        async with client_of(intel) as client:
            guard = await inhibit(connection, "a writer")
            await asyncio.sleep(0.3)  # for the effects of the call itself
            before = wake_ups(intel)
            for _ in range(500):
                with suppress(BlockingIOError):  # the pipe is full, and no one reads it
                    os.write(guard, b"x" * 4096)
                await asyncio.sleep(0.001)
            assert wake_ups(intel) - before < 50
            os.close(guard)
            await client.wait_for(lambda signal: signal.member == "InhibitorsChanged")
            while await client.call(ROOT, MANAGER, "ListInhibitors") != ([],):
                await asyncio.sleep(0.01)
        connection.close()

    asyncio.run(body())


def wake_ups(nestd: Nestd) -> int:
    """How often the main thread has blocked so far (voluntary context switches)."""
    lines = Path(f"/proc/{nestd.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))


def test_caller_that_cannot_take_the_descriptor_is_told_at_once(intel: Nestd) -> None:
    with RawClient(intel.address, timeout=5, takes_descriptors=False) as client:
        for member, types, args in (("Inhibit", "ss", ("a", "b")), ("CollectLogs", "a{sv}", ({},))):
            serial = client.next_serial()
            call = protocol.encode_call(serial, "org.nestd1", ROOT, MANAGER, member, types, args)
            client.send(call.data)
            assert client.reply_to(serial).error == "org.freedesktop.DBus.Error.NotSupported"

    async def body() -> None:
        async with client_of(intel) as client:
            assert await client.call(ROOT, MANAGER, "ListInhibitors") == ([],)

    asyncio.run(body())

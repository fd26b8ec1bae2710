# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unreadable files are reported as unreadable, not as absent, and never as an internal error."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_bus import PrivateBus
from running_nestd import MANAGER, MODULE, PROPERTIES, ROOT, Client, Nestd, client_of, running_nestd
from shimmed import Shim

from nestd.dbus.errors import BusError

INTEL = f"{ROOT}/module/kvm_intel"
DAEMON = f"{ROOT}/log/virtqemud"
LOG_DAEMON = "org.nestd1.LogDaemon"
ERRORS = (errno.EIO, errno.ENOMEM, errno.ENFILE)
SYSFS = "/sys/module/kvm_intel"
OF_THE_MODULE = ("initstate", "refcnt", "holders", "parameters", "parameters/nested")

# Paths with many others of the same kind (tests/run --all tries them too).
_MANY = (
    *("/proc/1", "/sys/module/kvm/parameters/", f"{SYSFS}/parameters/"),
    *("/usr/bin/", "/usr/sbin/", "/usr/share/doc/", "/run/", "/var/run/", "/boot/", "/efi"),
)

READS = (
    *((ROOT, MANAGER, member, "") for member in ("Describe", "Validate", "Posture")),
    *((ROOT, MANAGER, member, "") for member in ("ListMachines", "ListGuests", "ListHistory")),
    (ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", ""),
    (ROOT, PROPERTIES, "GetAll", "s", MANAGER),
    (INTEL, PROPERTIES, "GetAll", "s", MODULE),
    (INTEL, MODULE, "ListBlockers", ""),
    (INTEL, MODULE, "CanReload", ""),
    (INTEL, MODULE, "Plan", "a{ss}s", {"nested": "0"}, "now"),
    (f"{ROOT}/module/kvm", MODULE, "Plan", "a{ss}s", {"halt_poll_ns": "1"}, "now"),
    (DAEMON, PROPERTIES, "GetAll", "s", LOG_DAEMON),
    (DAEMON, LOG_DAEMON, "CheckFilters", "ss", "1:qemu", ""),
    (DAEMON, LOG_DAEMON, "Plan", "sa{sv}", "1:qemu", {}),
)
SETS = tuple(
    (INTEL, MODULE, "SetNested", "bsa{sv}", value, when, {})
    for value, when in ((False, "now"), (True, "idle"), (False, "boot"))
)


@pytest.fixture
def shimmed(bus: PrivateBus, tmp_path: Path) -> Iterator[tuple[Nestd, Shim]]:
    shim = Shim(tmp_path)
    arguments = ("--simulate", "intel,guests=1")
    with running_nestd(bus.address, tmp_path, *arguments, environment=shim.environment) as nestd:
        yield nestd, shim


async def answer(client: Client, *call: object) -> object:
    """The result of the call, or its error."""
    try:
        return await client.call(*call)  # type: ignore[arg-type]
    except BusError as error:
        return error


def is_internal(given: object) -> bool:
    return isinstance(given, BusError) and not given.name.startswith("org.nestd1.Error.")


async def internal_errors(client: Client) -> list[str]:
    """The read calls that fail with an error that none of them may return."""
    given = {call[2]: await answer(client, *call) for call in READS}
    return [f"{name}: {each}" for name, each in given.items() if is_internal(each)]


async def set_nested(client: Client, value: bool) -> object:
    return await answer(client, INTEL, MODULE, "SetNested", "bsa{sv}", value, "now", {})


def test_each_file_that_cannot_be_read(shimmed: tuple[Nestd, Shim]) -> None:
    """For each path that a call accesses: make the access fail, and repeat the call."""
    nestd, shim = shimmed
    every = bool(os.environ.get("NESTD_TEST_ALL"))

    async def body() -> None:
        async with client_of(nestd) as client:
            nestd.end_machine("guest1")
            calls = (*READS, *SETS)
            tried: set[object] = set()
            found: list[str] = []
            for number, call in enumerate(calls):
                shim.start_recording()
                assert not is_internal(await answer(client, *call))
                for path in shim.recorded():
                    # The code that reads a file is the same for all calls.
                    kind = (path, every and number)
                    if kind in tried or (path.startswith(_MANY) and not every):
                        continue
                    tried.add(kind)
                    for code in ERRORS if every else ERRORS[len(tried) % 3 :][:1]:
                        with shim.fault(code, path):
                            if is_internal(await answer(client, *call)):
                                found.append(f"{call[2]}: {path}: {os.strerror(code)}")
            print(f"{len(tried)} places, {len(calls)} calls")
            assert found == []
            assert "Traceback" not in nestd.log.read_text()
            assert await client.module("kvm_intel", "ReadError") == [""]
            assert len(tried) > 50

    asyncio.run(body())


@pytest.mark.parametrize("name", OF_THE_MODULE)
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_a_module_that_cannot_be_read_is_not_taken_for_one_that_is_absent(
    shimmed: tuple[Nestd, Shim], number: int, name: str
) -> None:
    nestd, shim = shimmed

    async def body() -> None:
        async with client_of(nestd) as client:
            nestd.end_machine("guest1")
            before = nestd.kvm_conf.read_bytes()
            with shim.fault(number, f"{SYSFS}/{name}"):
                nested, error = await client.module("kvm_intel", "Nested", "ReadError")
                assert nested == ("yes" if name in ("refcnt", "holders") else "unknown")
                assert f"{SYSFS}/{name}: {os.strerror(number)}" in str(error)
                for when in ("now", "idle"):
                    with pytest.raises(BusError, match=os.strerror(number)) as caught:
                        await client.set_nested("kvm_intel", False, when)
                    assert caught.value.name == "org.nestd1.Error.Unreadable"
                assert nestd.kvm_conf.read_bytes() == before
                assert await client.set_nested("kvm_intel", False, "boot") == "/"
            assert await client.module("kvm_intel", "Nested", "ReadError") == ["yes", ""]

    asyncio.run(body())


def test_without_a_descriptor_to_spare(intel: Nestd) -> None:
    async def body() -> None:
        async with client_of(intel) as client:
            assert await internal_errors(client) == []
            pid, limit = intel.process.pid, resource.RLIMIT_NOFILE
            soft, hard = resource.prlimit(pid, limit)
            used = len(os.listdir(f"/proc/{pid}/fd"))
            for spare in range(4):
                resource.prlimit(pid, limit, (used + spare, hard))
                assert await internal_errors(client) == []
                if spare == 0:
                    nested, error = await client.module("kvm_intel", "Nested", "ReadError")
                    assert nested == "unknown"
                    assert os.strerror(errno.EMFILE) in str(error)
                    refused = await set_nested(client, False)
                    assert isinstance(refused, BusError)
                    assert refused.name == "org.nestd1.Error.Unreadable"
            resource.prlimit(pid, limit, (soft, hard))
            assert await client.module("kvm_intel", "Nested", "ReadError") == ["yes", ""]
            log = intel.log.read_text()
            assert "Traceback" not in log, log

    asyncio.run(body())

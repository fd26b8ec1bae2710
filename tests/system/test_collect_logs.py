# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.CollectLogs: the content of an archive, and clients that try to harm nestd with one."""

from __future__ import annotations

import array
import asyncio
import fcntl
import gzip
import io
import json
import os
import tarfile
import termios
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from running_nestd import BUS_NAME, MANAGER, ROOT, Nestd

from nestd.core.archive.archives import MOST_AT_ONCE, MOST_LOG_BYTES
from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.dbus.values import Variant

MIB = 1 << 20
PASSWORD = b"s3cret-Passw0rd"
SPICE = b"-spice port=5900,password=" + PASSWORD + b",tls-port=1 \\\n"
LINE = b"2026-01-01 00:00:00.000+0000: 1234: debug : qemuMonitorIOWrite:451 : mon=0x7f len=%08d\n"


@pytest.fixture
def logs(intel: Nestd) -> Path:
    """libvirt's log directory on the simulated host, empty."""
    directory = intel.root / "var/log/libvirt"
    (directory / "qemu").mkdir(parents=True)
    return directory


def run(nestd: Nestd, test: Callable[[Connection], Awaitable[None]]) -> None:
    async def body() -> None:
        connection = await Connection.connect(nestd.address, take_descriptors=True)
        try:
            await test(connection)
        finally:
            connection.close()

    asyncio.run(body())


async def begin(connection: Connection, **options: Variant) -> int:
    """Start a collection; returns the descriptor to read the archive from."""
    [descriptor] = await connection.call(
        BUS_NAME, ROOT, MANAGER, "CollectLogs", "a{sv}", [options], take_descriptor=True
    )
    assert isinstance(descriptor, int)
    return descriptor


def read_to_end(descriptor: int) -> bytes:
    with open(descriptor, "rb") as pipe:
        os.set_blocking(descriptor, True)
        return pipe.read()


class Archive:
    """The collected files; names are without the archive's top directory."""

    def __init__(self, data: bytes) -> None:
        self.files: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            self.members = tar.getmembers()
            for member in self.members:
                file = tar.extractfile(member)
                assert file is not None
                self.files[member.name.split("/", 1)[1]] = file.read()
        self.index: Any = json.loads(self.files["INDEX.json"])

    def entry(self, name: str) -> Any:
        [entry] = [each for each in self.index["files"] if each["name"].endswith("/" + name)]
        return entry

    def left_out(self) -> dict[str, str]:
        return {each["source"]: each["why"] for each in self.index["left_out"]}


def collect(nestd: Nestd, **options: Variant) -> Archive:
    found = []

    async def test(connection: Connection) -> None:
        descriptor = await begin(connection, **options)
        found.append(await asyncio.to_thread(read_to_end, descriptor))

    run(nestd, test)
    return Archive(found[0])


def max_bytes(number: int) -> Variant:
    return Variant("t", number)


def test_what_is_in_it(intel: Nestd, logs: Path) -> None:
    (logs / "libvirtd.log").write_bytes(LINE % 1 + SPICE)
    (logs / "qemu/web01.log").write_bytes(b"char device \xff\xfe redirected\n" + SPICE)
    (logs / "qemu/web01.log.1").write_bytes(b"older\n")
    (logs / "qemu/web01.log-20260101.gz").write_bytes(gzip.compress(b"oldest\n" + SPICE))
    etc = intel.root / "etc/libvirt"
    (etc / "qemu").mkdir(parents=True)
    (etc / "qemu.conf").write_bytes(b'vnc_password = "' + PASSWORD + b'"\n')
    (etc / "qemu/web01.xml").write_bytes(b"<domain/>")
    running = intel.root / "run/libvirt/qemu"
    running.mkdir(parents=True, exist_ok=True)
    (running / "web01.xml").write_bytes(b"<domstatus passwd='" + PASSWORD + b"'/>")

    archive = collect(intel)
    assert PASSWORD not in b"".join(archive.files.values())
    redacted = SPICE.replace(PASSWORD, b"[redacted]")
    assert archive.files["logs/libvirt/libvirtd.log"] == LINE % 1 + redacted
    assert archive.files["logs/libvirt/qemu/web01.log"].startswith(b"char device \xff\xfe ")
    assert archive.files["logs/libvirt/qemu/web01.log.1"] == b"older\n"
    assert archive.files["logs/libvirt/qemu/web01.log-20260101"] == b"oldest\n" + redacted
    assert archive.files["config/etc/libvirt/qemu.conf"] == b'vnc_password = "[redacted]"\n'
    assert archive.files["config/etc/modprobe.d/kvm.conf"] == intel.kvm_conf.read_bytes()
    assert json.loads(archive.files["nestd/describe.json"])["host_module"] == "kvm_intel"
    assert b"options kvm_intel" in archive.files["nestd/next-loads.conf"]
    assert b"kernel: " in archive.files["nestd/versions"]
    assert "nestd/kernel-command-line" in archive.files
    assert not [name for name in archive.files if name.endswith(".xml")]

    names = {each["name"].split("/", 1)[1] for each in archive.index["files"]}
    assert names == set(archive.files) - {"INDEX.json"}
    entry = archive.entry("qemu/web01.log")
    assert entry["source"] == "/var/log/libvirt/qemu/web01.log"
    assert entry["redacted"] == {"password": 1}
    assert entry["bytes"] == len(archive.files["logs/libvirt/qemu/web01.log"])
    assert archive.index["redaction"]["count"] == 4
    assert any("/run/libvirt/qemu" in each for each in archive.index["never_included"])
    assert "another machine's" in " ".join(archive.left_out().values())
    for member in archive.members:
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "root", "root")
        assert member.isreg()
        assert member.mode == 0o600
        assert member.name.startswith("nestd-")


def test_without_libvirt_it_says_so(intel: Nestd) -> None:
    archive = collect(intel)
    assert archive.left_out()["/var/log/libvirt"] == "there are no logs of libvirt"
    assert "nestd/describe.json" in archive.files


def test_only_regular_files_of_the_directory_itself(intel: Nestd, logs: Path) -> None:
    outside = intel.root / "etc/shadow"
    outside.write_bytes(b"root:outside\n")
    (logs / "link.log").symlink_to(outside)
    os.mkfifo(logs / "fifo.log")
    (logs / "directory.log").mkdir()
    (logs / "unrelated.txt").write_bytes(b"unrelated")
    (logs / "qemu").rmdir()
    (intel.root / "elsewhere").mkdir()
    (intel.root / "elsewhere/x.log").write_bytes(b"elsewhere")
    (logs / "qemu").symlink_to(intel.root / "elsewhere")
    (logs / "-n\x1b[31m \udcff.log").write_bytes(b"strange name\n")
    (logs / "damaged.log.1.gz").write_bytes(gzip.compress(os.urandom(4096))[:2000])
    (logs / "empty.log").touch()

    archive = collect(intel)
    names = {name for name in archive.files if name.startswith("logs/")}
    assert names == {
        "logs/libvirt/n__31m _.log",
        "logs/libvirt/empty.log",
        "logs/libvirt/damaged.log.1",
    }
    assert archive.entry("damaged.log.1")["cut"][0] == "what follows a damaged place"
    left_out = archive.left_out()
    assert left_out["/var/log/libvirt/link.log"] == "is a link"
    assert left_out["/var/log/libvirt/fifo.log"] == "is not a regular file"
    assert left_out["/var/log/libvirt/directory.log"] == "is not a regular file"
    assert left_out["/var/log/libvirt/qemu"].startswith("cannot be read")


def test_the_newest_logs_up_to_a_limit(intel: Nestd, logs: Path) -> None:
    for age, name in enumerate(("libvirtd.log", "qemu/b.log", "qemu/a.log")):
        path = logs / name
        path.write_bytes(b"".join(LINE % number for number in range(1000)))
        os.utime(path, (2e9 - age, 2e9 - age))
    size = (logs / "libvirtd.log").stat().st_size

    archive = collect(intel, max_bytes=max_bytes(size + size // 2))
    assert len(archive.files["logs/libvirt/libvirtd.log"]) == size
    rest = archive.files["logs/libvirt/qemu/b.log"]
    assert size // 2 - 200 < len(rest) <= size // 2
    assert rest.startswith(b"2026-")
    assert rest.endswith(LINE % 999)
    assert archive.entry("qemu/b.log")["cut"] == [f"the first {size - len(rest)} bytes"]
    assert "logs/libvirt/qemu/a.log" not in archive.files
    assert "older than" in archive.left_out()["/var/log/libvirt/qemu/a.log"]
    assert archive.index["max_bytes"] == size + size // 2
    nothing = collect(intel, max_bytes=max_bytes(0))
    assert not [name for name in nothing.files if name.startswith("logs/")]


def test_a_secret_that_the_limit_cuts(intel: Nestd, logs: Path) -> None:
    """The kept part begins in the middle of a line, and of a private key."""
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"a2V5\n" * 100 + b"-----END PRIVATE KEY-----\n"
    for cut in (200, 201, 300):
        (logs / "libvirtd.log").write_bytes(b"x" * 1000 + b"\n" + key + b"end\n")
        kept = collect(intel, max_bytes=max_bytes(cut)).files["logs/libvirt/libvirtd.log"]
        assert b"a2V5" not in kept
        assert kept.endswith(b"-----END PRIVATE KEY-----\nend\n")
        (logs / "libvirtd.log").write_bytes(SPICE + b"x" * (cut - 20) + b"\n")
        kept = collect(intel, max_bytes=max_bytes(cut)).files["logs/libvirt/libvirtd.log"]
        assert kept == b"x" * (cut - 20) + b"\n"


def test_logs_that_change_between_the_two_looks(intel: Nestd, logs: Path) -> None:
    """nestd has measured the newest log, and waits for the client to read the first part."""
    data = b"".join(os.urandom(60).hex().encode() + b"\n" for _ in range(10000))
    for name in ("grows.log", "shrinks.log"):
        (logs / name).write_bytes(data)
    os.utime(logs / "grows.log", (1e9, 1e9))
    found = []

    async def test(connection: Connection) -> None:
        descriptor = await begin(connection)
        while _readable(descriptor) < 50000:
            await asyncio.sleep(0.01)
        os.truncate(logs / "shrinks.log", 100)
        found.append(await asyncio.to_thread(read_to_end, descriptor))

    run(intel, test)
    archive = Archive(found[0])
    shrunk = archive.files["logs/libvirt/shrinks.log"]
    assert len(shrunk) == len(data)
    assert data.startswith(shrunk.rstrip(b"\n")[:-1])
    assert archive.entry("shrinks.log")["cut"] == ["what changed while it was being read"]
    assert archive.files["logs/libvirt/grows.log"] == data


def test_what_is_appended_meanwhile_is_left_alone(intel: Nestd, logs: Path) -> None:
    data = b"".join(os.urandom(60).hex().encode() + b"\n" for _ in range(10000))
    (logs / "grows.log").write_bytes(data)
    found = []

    async def test(connection: Connection) -> None:
        descriptor = await begin(connection)
        while _readable(descriptor) < 50000:
            await asyncio.sleep(0.01)
        with (logs / "grows.log").open("ab") as file:
            file.write(b"more\n" * 1000)
        found.append(await asyncio.to_thread(read_to_end, descriptor))

    run(intel, test)
    archive = Archive(found[0])
    assert archive.files["logs/libvirt/grows.log"] == data
    assert archive.entry("grows.log")["cut"] == []


def test_options_are_checked(intel: Nestd) -> None:
    async def test(connection: Connection) -> None:
        for options in (
            {"max_byte": max_bytes(1)},
            {"max_bytes": Variant("u", 1)},
            {"max_bytes": max_bytes(MOST_LOG_BYTES + 1)},
            {"max_bytes": max_bytes(2**64 - 1)},
        ):
            with pytest.raises(BusError) as caught:
                await begin(connection, **options)
            assert caught.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
            assert caught.value.text.endswith(".")

    run(intel, test)


def test_few_at_once_and_those_who_leave_make_room(intel: Nestd, logs: Path) -> None:
    """While clients do not read, others are served; closing frees what they held."""
    (logs / "libvirtd.log").write_bytes(os.urandom(4 * MIB))

    async def test(connection: Connection) -> None:
        before = _descriptors(intel)
        held = [await begin(connection) for _ in range(MOST_AT_ONCE)]
        with pytest.raises(BusError) as caught:
            await begin(connection)
        assert caught.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
        await connection.call(BUS_NAME, ROOT, MANAGER, "Describe")
        for descriptor in held:
            os.close(descriptor)
        deadline = time.monotonic() + 20
        while _descriptors(intel) > before and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert _descriptors(intel) <= before, "fewer: a file that was open when it was counted"
        Archive(await asyncio.to_thread(read_to_end, await begin(connection)))

    run(intel, test)
    assert intel.log.read_text().count("the client has disconnected") == MOST_AT_ONCE


def test_nestd_ends_at_once_while_a_client_does_not_read(intel: Nestd, logs: Path) -> None:
    (logs / "libvirtd.log").write_bytes(os.urandom(4 * MIB))
    found = []

    async def test(connection: Connection) -> None:
        descriptor = await begin(connection)
        while _readable(descriptor) < 50000:
            await asyncio.sleep(0.01)
        started = time.monotonic()
        assert await asyncio.to_thread(intel.stop) == 0
        assert time.monotonic() - started < 5
        found.append(await asyncio.to_thread(read_to_end, descriptor))

    run(intel, test)
    with pytest.raises(EOFError):
        gzip.decompress(found[0])


def test_memory_does_not_grow_with_the_logs(
    intel: Nestd, logs: Path, record_property: Callable[[str, object], None]
) -> None:
    block = b"".join(LINE % number for number in range(10000)) + SPICE
    for number in range(4):
        with (logs / f"qemu/vm{number}.log").open("wb") as file:
            for _ in range(50 * MIB // len(block)):
                file.write(block)
    most = 0

    async def test(connection: Connection) -> None:
        nonlocal most
        # Once before: imports and allocations of the first archive do not depend on its size.
        await asyncio.to_thread(read_to_end, await begin(connection, max_bytes=max_bytes(MIB)))
        before = intel.resident()
        started = time.monotonic()
        descriptor = await begin(connection, max_bytes=max_bytes(256 * MIB))
        os.set_blocking(descriptor, True)
        size = 0
        while chunk := await asyncio.to_thread(os.read, descriptor, 1 << 16):
            size += len(chunk)
            most = max(most, intel.resident() - before)
        os.close(descriptor)
        record_property("200 MiB of logs", f"{time.monotonic() - started:.1f} s, {size} bytes")
        record_property("memory", f"{most / MIB:.1f} MiB more")

    run(intel, test)
    assert most < 4 * MIB


def _readable(descriptor: int) -> int:
    """The number of bytes waiting in a pipe."""
    number = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, number)
    return number[0]


def _descriptors(nestd: Nestd) -> int:
    return len(os.listdir(f"/proc/{nestd.process.pid}/fd"))

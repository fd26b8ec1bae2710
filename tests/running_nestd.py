# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real nestd as a process on a private bus, and a client that waits for signals.

with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
    asyncio.run(test(nestd))
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from private_bus import PrivateBus, die_with_parent
from shimmed import Shim

import nestd
from nestd.dbus.connection.transport import Connection
from nestd.dbus.values import Signal, Variant

START_SECONDS = 30
SIGNAL_SECONDS = 20

BUS_NAME = "org.nestd1"
MANAGER = "org.nestd1.Manager"
MODULE = "org.nestd1.Module"
JOB = "org.nestd1.Job"
ROOT = "/org/nestd1"
PROPERTIES = "org.freedesktop.DBus.Properties"


@dataclass
class Nestd:
    """A running nestd; root is the directory given with --root.

    notifications receives what it sends to the service manager after READY=1.
    """

    process: subprocess.Popen[bytes]
    address: str
    root: Path
    log: Path
    notifications: socket.socket

    @property
    def kvm_conf(self) -> Path:
        return self.root / "etc/modprobe.d/kvm.conf"

    def start_machine(self, name: str) -> None:
        """Start a virtual machine on the simulated host."""
        (self.root / "simulated/machines" / name).touch()

    def end_machine(self, name: str) -> None:
        (self.root / "simulated/machines" / name).unlink()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=START_SECONDS)

    def resident(self) -> int:
        """Resident memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096


@contextmanager
def running_nestd(
    address: str, directory: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[Nestd]:
    """Start nestd with --root below DIRECTORY, and wait until it is ready (READY=1).

    With NESTD_TEST_SLOW_DISK in the environment its disk is slow: see shim/sitecustomize.py.
    """
    shim = Shim(directory) if os.environ.get("NESTD_TEST_SLOW_DISK") else None
    root = directory / "root"
    log = directory / "nestd.log"
    notify = directory / "notify"
    notify.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, log.open("ab") as output:
        ready.bind(str(notify))
        process = subprocess.Popen(
            [sys.executable, "-m", "nestd", "--bus", address, "--root", str(root), *arguments],
            env={
                **os.environ,
                **shipped_environment(),
                "PYTHONPATH": str(Path(nestd.__file__).parents[1]),
                "NOTIFY_SOCKET": str(notify),
                **(shim.environment if shim else {}),
                **(environment or {}),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        try:
            _wait_until_ready(process, ready, log)
            if shim:
                shim.slow_down()
            yield Nestd(process, address, root, log, ready)
        finally:
            process.kill()
            process.wait()
        assert shim is None or shim.on_loop() == []


def shipped_environment() -> dict[str, str]:
    """The environment that the unit file sets."""
    lines = (Path(__file__).parents[1] / "systemd/nestd.service").read_text().splitlines()
    words = " ".join(line.partition("=")[2] for line in lines if line.startswith("Environment="))
    return dict(word.split("=", 1) for word in words.split())  # type: ignore[misc]


def _wait_until_ready(process: subprocess.Popen[bytes], ready: socket.socket, log: Path) -> None:
    ready.settimeout(0.2)
    for _ in range(START_SECONDS * 5):
        try:
            if b"READY=1" in ready.recv(4096):
                return
        except socket.timeout:
            if process.poll() is not None:
                break
    raise AssertionError(f"nestd did not get ready:\n{log.read_text()}")


@dataclass
class Client:
    """A client that records nestd's signals."""

    connection: Connection
    signals: list[Signal] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *args: object
    ) -> tuple[object, ...]:
        return await self.connection.call(
            BUS_NAME, path, interface, member, signature, args, timeout=SIGNAL_SECONDS
        )

    async def get(self, path: str, interface: str, name: str) -> object:
        [value] = await self.call(path, PROPERTIES, "Get", "ss", interface, name)
        assert isinstance(value, Variant)
        return value.value

    async def module(self, name: str, *properties: str) -> Sequence[object]:
        return [await self.get(f"{ROOT}/module/{name}", MODULE, each) for each in properties]

    async def set_nested(self, module: str, enabled: bool, when: str, **options: Variant) -> str:
        path = f"{ROOT}/module/{module}"
        [job] = await self.call(path, MODULE, "SetNested", "bsa{sv}", enabled, when, options)
        return str(job)

    async def set_parameters(self, module: str, parameters: dict[str, str], when: str) -> str:
        path = f"{ROOT}/module/{module}"
        [job] = await self.call(path, MODULE, "SetParameters", "a{ss}sa{sv}", parameters, when, {})
        return str(job)

    async def plan(self, module: str, parameters: dict[str, str], when: str) -> dict[str, object]:
        [plan] = await self.call(
            f"{ROOT}/module/{module}", MODULE, "Plan", "a{ss}s", parameters, when
        )
        assert isinstance(plan, dict)
        return {key: variant.value for key, variant in plan.items()}

    async def wait_for(self, matches: Callable[[Signal], bool]) -> Signal:
        """Wait for the first signal since connecting that MATCHES."""

        def found() -> Signal | None:
            return next((each for each in self.signals if matches(each)), None)

        async with self.arrived:
            await asyncio.wait_for(
                self.arrived.wait_for(lambda: found() is not None), SIGNAL_SECONDS
            )
        signal = found()
        assert signal is not None
        return signal

    async def wait_for_property(self, path: str, name: str, value: object) -> None:
        """Wait for PropertiesChanged of NAME to VALUE; forgets the signals up to it."""

        def matches(signal: Signal) -> bool:
            if signal.member != "PropertiesChanged" or signal.path != path:
                return False
            changed = signal.args[1]
            assert isinstance(changed, dict)
            return name in changed and changed[name].value == value

        signal = await self.wait_for(matches)
        del self.signals[: self.signals.index(signal) + 1]

    async def wait_for_job_end(self, job: str) -> str:
        signal = await self.wait_for(
            lambda signal: signal.member == "JobRemoved" and signal.args[1] == job
        )
        return str(signal.args[2])


@asynccontextmanager
async def client_of(nestd: Nestd) -> AsyncIterator[Client]:
    """A client that is subscribed to all of nestd's signals."""
    connection = await Connection.connect(nestd.address)
    client = Client(connection)
    tasks: set[asyncio.Task[None]] = set()

    async def tell() -> None:
        async with client.arrived:
            client.arrived.notify_all()

    def take(signal: Signal) -> None:
        client.signals.append(signal)
        task = asyncio.ensure_future(tell())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    await connection.subscribe(f"type='signal',sender='{BUS_NAME}'", take)
    try:
        yield client
    finally:
        connection.close()


def on_host(
    bus: PrivateBus,
    directory: Path,
    vendor: str,
    test: Callable[[Client, Nestd], Awaitable[None]],
) -> None:
    """Run TEST with a client of nestd on a fresh simulated host; its files are in DIRECTORY."""
    with running_nestd(bus.address, directory, "--simulate", vendor) as nestd:

        async def body() -> None:
            async with client_of(nestd) as client:
                await test(client, nestd)

        asyncio.run(body())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures nestd and its baselines alternately, pair by pair, and prints the ratios.

A ratio is the median over the pairs: other load on the machine affects both halves of a pair.
Processor time is shown beside wall-clock time, since load distorts it less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable

import echo
from noise import Noise
from private_bus import private_bus
from running_nestd import MANAGER, MODULE, PROPERTIES, ROOT, Nestd, running_nestd

from nestd.dbus.connection.transport import Connection
from nestd.host.root import Root
from nestd.host.simulated.domain import Nesting
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import SimulatedKernel
from nestd.host.simulated.machines import Machines

PAIRS, CALLS = 15, 40
STARTS = 7
FILES, LINES = 1000, 100
MACHINES, DESCRIPTORS, LISTINGS = 200, 30, 4
INTEL = f"{ROOT}/module/kvm_intel"
LIBRARIES = "import asyncio, dbus_next.aio, pyudev, configobj"
HIDDEN = "import sys; sys.modules['gi'] = sys.modules['ssl'] = None; "  # as nestd.__main__ does

Call = Callable[[Connection], Awaitable[object]]


@dataclass(frozen=True)
class Figure:
    """Medians in milliseconds, wall-clock and processor time, and their ratios to the baseline."""

    what: str
    against: str
    clock: float
    processor: float
    clock_ratio: float
    processor_ratio: float
    at_most: float | None

    def row(self) -> str:
        limit = "" if self.at_most is None else f"{self.at_most:g}"
        return (
            f"| {self.what} | {self.against} | {self.clock:.2f} | {self.clock_ratio:.2f} |"
            f" {self.processor:.2f} | {self.processor_ratio:.2f} | {limit} |"
        )


Cost = tuple[float, float]
"""Seconds of wall-clock and processor time."""


def compare(
    what: str, against: str, pairs: Sequence[tuple[Cost, Cost]], at_most: float | None
) -> Figure:
    clock = [ours[0] / theirs[0] for ours, theirs in pairs]
    processor = [ours[1] / theirs[1] for ours, theirs in pairs]
    return Figure(
        what,
        against,
        1000 * statistics.median(ours[0] for ours, _ in pairs),
        1000 * statistics.median(ours[1] for ours, _ in pairs),
        statistics.median(clock),
        statistics.median(processor),
        at_most,
    )


def processor_seconds(pid: int) -> float:
    """Seconds used by all threads of a process so far (schedstat counts nanoseconds)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in tasks) / 1e9


async def calls(connection: Connection, pid: int, call: Call, count: int = CALLS) -> Cost:
    """Sequential calls of one client: median wall-clock time, mean processor time."""
    before, clock = processor_seconds(pid), []
    for _ in range(count):
        started = time.perf_counter()
        await call(connection)
        clock.append(time.perf_counter() - started)
    return statistics.median(clock), (processor_seconds(pid) - before) / count


def get(path: str, interface: str, name: str) -> Call:
    return lambda bus: bus.call("org.nestd1", path, PROPERTIES, "Get", "ss", (interface, name))


def echo_call(bus: Connection) -> Awaitable[object]:
    return bus.call(echo.NAME, echo.PATH, echo.NAME, "Echo", "ss", (MODULE, "Nested"))


def echo_all(bus: Connection) -> Awaitable[object]:
    return bus.call(echo.NAME, echo.PATH, PROPERTIES, "GetAll", "s", (f"{echo.NAME}.Values",))


def get_all(bus: Connection) -> Awaitable[object]:
    return bus.call("org.nestd1", INTEL, PROPERTIES, "GetAll", "s", (MODULE,))


READS: Sequence[tuple[str, Call, str, Call, float]] = (
    ("Get of a dynamic property", get(INTEL, MODULE, "Nested"), "an echo", echo_call, 1.5),
    ("Get of MachineCount", get(ROOT, MANAGER, "MachineCount"), "an echo", echo_call, 1.5),
    ("Get of a constant property", get(INTEL, MODULE, "Name"), "an echo", echo_call, 1.0),
    ("GetAll on a Module", get_all, "a bare GetAll", echo_all, 2.0),
)


async def reads(address: str, nestd: int, peer: int) -> list[Figure]:
    bus = await Connection.connect(address)
    try:
        figures = []
        for what, call, against, other, limit in READS:
            pairs = []
            for _ in range(PAIRS):
                ours = await calls(bus, nestd, call)
                pairs.append((ours, await calls(bus, peer, other)))
            figures.append(compare(what, against, pairs, limit))
        return figures
    finally:
        bus.close()


@contextmanager
def echo_service(address: str) -> Iterator[int]:
    command = [sys.executable, str(Path(echo.__file__)), address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def program(*command: str) -> Cost:
    """The run of a program, from start to end."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    clock = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return clock, used


def start(address: str, directory: Path, *arguments: str) -> Cost:
    """nestd's start, until it is ready."""
    directory.mkdir(exist_ok=True)
    started = time.perf_counter()
    with running_nestd(address, directory, *arguments) as nestd:
        return time.perf_counter() - started, _used(nestd)


def _used(nestd: Nestd) -> float:
    fields = Path(f"/proc/{nestd.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # including its child processes


def starts(address: str, directory: Path) -> Figure:
    (directory / "stock/root").mkdir(parents=True)
    pairs = [
        (start(address, directory / "stock"), program(sys.executable, "-c", HIDDEN + LIBRARIES))
        for _ in range(STARTS)
    ]
    return compare("process start to name owned", "the import of its libraries", pairs, 1.4)


def thousand_files(address: str, directory: Path) -> Figure:
    """The time beyond a start on a stock host, against modprobe reading the same files."""
    (directory / "stock/root").mkdir(parents=True, exist_ok=True)
    place = directory / "many/root/etc/modprobe.d"
    place.mkdir(parents=True)
    for number in range(FILES):
        lines = (f"options snd_{number}_{line} index={line}\n" for line in range(LINES))
        (place / f"{number:04}.conf").write_text("".join(lines))
    pairs = []
    for _ in range(3):
        many, stock = start(address, directory / "many"), start(address, directory / "stock")
        ours = max(many[0] - stock[0], 1e-4), max(many[1] - stock[1], 1e-4)
        pairs.append((ours, program("modprobe", "-c", "-C", str(place))))
    return compare(f"start with {FILES} files, beyond a stock one", "modprobe -c", pairs, 5)


def write_and_sync(path: Path, number: int) -> Cost:
    started, used = time.perf_counter(), time.process_time()
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(f"options kvm_intel nested={number % 2}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    return time.perf_counter() - started, time.process_time() - used


async def writes(address: str, nestd: Nestd) -> Figure:
    bus, pairs = await Connection.connect(address), []
    try:
        for number in range(PAIRS):
            before, started = processor_seconds(nestd.process.pid), time.perf_counter()
            arguments = (number % 2 == 0, "boot", {})
            await bus.call("org.nestd1", INTEL, MODULE, "SetNested", "bsa{sv}", arguments)
            clock = time.perf_counter() - started
            ours = clock, processor_seconds(nestd.process.pid) - before
            pairs.append((ours, write_and_sync(nestd.kvm_conf.with_name("peer"), number)))
    finally:
        bus.close()
    return compare("SetNested boot", "write, fsync, rename, fsync", pairs, 2.5)


def host_with_machines(directory: Path) -> None:
    """A host below DIRECTORY; each machine also has the other descriptors of a QEMU process."""
    root = Root(directory / "root")
    SimulatedKernel(root, KINDS["intel"])
    machines = Machines(root, "intel")
    for number in range(MACHINES):
        machines.start(f"vm{number}", Nesting.EXPOSED if number % 2 else Nesting.NONE)
    machines.show()
    for descriptors in root.at("/proc").glob("[0-9]*/fd"):
        for number in range(DESCRIPTORS):
            (descriptors / str(100 + number)).symlink_to(f"socket:[{number}]")


async def guests(address: str, nestd: int) -> Figure:
    bus = await Connection.connect(address)

    def listing(member: str) -> Call:
        return lambda bus: bus.call("org.nestd1", ROOT, MANAGER, member)

    try:
        await listing("ListGuests")(bus)  # a machine's constant properties are read once
        pairs = []
        for _ in range(PAIRS):
            ours = await calls(bus, nestd, listing("ListGuests"), LISTINGS)
            pairs.append((ours, await calls(bus, nestd, listing("ListMachines"), LISTINGS)))
        return compare(f"ListGuests of {MACHINES} machines", "ListMachines", pairs, 1.3)
    finally:
        bus.close()


def quick() -> list[Figure]:
    figures = []
    with (
        tempfile.TemporaryDirectory(prefix="nestd-bench-") as name,
        private_bus("dbus-daemon") as bus,
        echo_service(bus.address) as peer,
    ):
        directory = Path(name)
        (directory / "reads").mkdir()
        with running_nestd(bus.address, directory / "reads", "--simulate", "intel") as nestd:
            time.sleep(0.5)  # until the time stamps are old enough to be trusted
            figures += asyncio.run(reads(bus.address, nestd.process.pid, peer))
            figures.append(asyncio.run(writes(bus.address, nestd)))
        host_with_machines(directory / "machines")
        with running_nestd(bus.address, directory / "machines") as nestd:
            time.sleep(0.5)
            figures.append(asyncio.run(guests(bus.address, nestd.process.pid)))
        figures.append(starts(bus.address, directory))
        figures.append(thousand_files(bus.address, directory))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", required=True, help="on a private bus")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args()
    noise = Noise()
    figures = quick()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "noise": noise.told(),
    }
    print(*(f"{key}: {value}" for key, value in about.items()), sep="\n", end="\n\n")
    print("| what | against | ms | ratio | CPU ms | CPU ratio | at most |")
    print("|---|---|---|---|---|---|---|")
    print(*(figure.row() for figure in figures), sep="\n")
    if arguments.json:
        document = {**about, "figures": [asdict(figure) for figure in figures]}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()

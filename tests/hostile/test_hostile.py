# SPDX-License-Identifier: LGPL-2.1-or-later
"""The effect of a malicious user on another one who only reads a property.

The report contains this machine's figures. The assertions are about processor time and memory, so
they hold on a slow and busy machine too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import attacker
import pytest
from private_bus import KINDS, PrivateBus, private_bus
from raw_client import RawClient
from running_nestd import Nestd, running_nestd
from users import nobody

pytestmark = pytest.mark.hostile
ROOMY = "".join(
    f'<limit name="{name}">{value}</limit>'
    for name, value in (("max_connections_per_user", 2000), ("max_completed_connections", 2000))
)
SECONDS = 1.0
LONGEST = 60.0  # seconds the other user waits for a reply before nestd counts as hung
MIB = 1 << 20
MOST_GROWTH = 10 * MIB
LASTING_GROWTH = 3 * MIB
CPU_PER_MESSAGE = 60e-6  # seconds, measured 10 to 13 us on an idle core
SERVED_SECONDS = 2.0  # processor time, for the calls that are answered
COSTLY = ("changes", "costly", "costly, no reply", "introspect", "large", "signatures")


@dataclass
class Outcome:
    """The attack's effect: times in seconds, memory in bytes."""

    sent: int
    waits: list[float]
    errors: int
    processor: float
    peak: int
    lasting: int

    def percentile(self, share: float) -> float:
        return sorted(self.waits)[min(len(self.waits) - 1, int(len(self.waits) * share))]

    def row(self) -> str:
        times = (self.percentile(0.5), self.percentile(0.99), max(self.waits))
        shown = ", ".join(f"{each * 1000:.0f}" for each in times)
        return (
            f"{self.sent} sent; others' p50, p99, worst ms: {shown}; nestd's processor"
            f" {self.processor:.2f} s; MiB more at most {self.peak / MIB:.1f}, then"
            f" {self.lasting / MIB:.1f}"
        )


@pytest.fixture(scope="module", params=KINDS)
def bus(request: pytest.FixtureRequest) -> Iterator[PrivateBus]:
    with private_bus(request.param, ROOMY) as bus:
        yield bus


@pytest.fixture(scope="module")
def nestd(bus: PrivateBus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nestd]:
    directory = tmp_path_factory.mktemp("nestd")
    with running_nestd(bus.address, directory, "--simulate", "intel,guests=3") as nestd:
        with RawClient(bus.address, timeout=LONGEST) as client:  # the first calls load modules
            for messages in attacker.ATTACKS.values():
                for data, _ in zip(messages(), range(5)):
                    client.send(attacker.numbered(data, client.next_serial()))
                get(client)
            for _ in range(50):
                get(client)
        yield nestd


def get(client: RawClient) -> str:
    """Read a property; returns the name of the error, "" for none."""
    serial = client.call(
        attacker.NAME, attacker.INTEL, attacker.PROPERTIES, "Get", "ss", attacker.GET
    )
    return client.reply_to(serial).error


def processor(pid: int) -> float:
    """Seconds of processor time so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def attacked(nestd: Nestd, name: str, connections: int) -> Outcome:
    """Let a user attack while another one reads a property every 10 ms."""
    pid, start = nestd.process.pid, nestd.resident()
    used = processor(pid)
    command = [sys.executable, attacker.__file__, nestd.address, str(nobody()), name]
    command += [str(connections), str(SECONDS)]
    waits, errors, peak, end = [], 0, start, 0.0
    with ExitStack() as stack:
        other = stack.enter_context(RawClient(nestd.address, timeout=LONGEST))
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        while not end or time.monotonic() < end:
            began = time.monotonic()
            errors += bool(get(other))
            waits.append(time.monotonic() - began)
            peak = max(peak, nestd.resident())
            if process.poll() is not None and not end:
                end = time.monotonic() + 0.5
            time.sleep(max(0.0, 0.01 - waits[-1]))
        sent = int(process.stdout.read())
    used = processor(pid) - used
    return Outcome(sent, waits, errors, used, peak - start, nestd.resident() - start)


@pytest.mark.parametrize("connections", [1, 30])
@pytest.mark.parametrize("name", attacker.ATTACKS)
def test_others_are_served(
    nestd: Nestd, name: str, connections: int, record_property: Callable[[str, object], None]
) -> None:
    outcome = attacked(nestd, name, connections)
    record_property("outcome", outcome.row())
    print(f"{name}, {connections} connections: {outcome.row()}")
    assert outcome.errors == 0
    assert nestd.process.poll() is None
    assert "Traceback" not in nestd.log.read_text()
    assert outcome.peak < MOST_GROWTH
    assert outcome.lasting < MOST_GROWTH
    if name not in COSTLY:
        assert outcome.processor < outcome.sent * CPU_PER_MESSAGE + SERVED_SECONDS


def test_memory_is_given_back(nestd: Nestd) -> None:
    """Many different signatures leave nothing in memory, whatever earlier attacks have left."""
    before = nestd.resident()
    for _ in range(3):
        attacked(nestd, "signatures", 1)
    time.sleep(1)
    assert nestd.resident() - before < LASTING_GROWTH

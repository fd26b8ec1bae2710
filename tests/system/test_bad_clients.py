# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that flood, lie, disconnect or never read: others are served, and nestd stays small."""

from __future__ import annotations

import os
import resource
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from callers import ERROR, INTEL, LOG_CONTROL
from contract import contract
from private_bus import KINDS, private_bus
from raw_client import REPLY_SERIAL, RawClient, Received, array, pad, string
from running_nestd import BUS_NAME, JOB, MANAGER, MODULE, PROPERTIES, ROOT, Nestd, running_nestd

from nestd.dbus.connection import protocol
from nestd.dbus.values import Variant

MIB = 1 << 20
MOST_GROWTH = 20 * MIB
LONGEST_WAIT = 5.0  # seconds, for a well-behaved client while the flood keeps the machine busy
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PEER = "org.freedesktop.DBus.Peer"
LOG_INTERFACE = "org.freedesktop.LogControl1"
ROOMY = "".join(
    f'<limit name="{name}">{value}</limit>'
    for name, value in (("max_connections_per_user", 2000), ("max_completed_connections", 2000))
)
LOG_DAEMON = f"{ROOT}/log/libvirtd"
JOB_PATH = f"{ROOT}/job/1"
OBJECTS = {
    ROOT: MANAGER,
    INTEL: MODULE,
    JOB_PATH: JOB,
    LOG_DAEMON: "org.nestd1.LogDaemon",
    LOG_CONTROL: LOG_INTERFACE,
}
LIBVIRTD_CONF = "etc/libvirt/libvirtd.conf"
LIMITED = ERROR + "LimitsExceeded"
INVALID = ERROR + "InvalidArgs"
OWN_ERROR = "org.nestd1.Error."
PARAMETER = OWN_ERROR + "InvalidParameter"


def call(
    client: RawClient, path: str, interface: str, member: str, signature: str = "", *args: object
) -> int:
    """Send a well-formed call to nestd; returns its serial."""
    serial = client.next_serial()
    client.send(
        protocol.encode_call(serial, BUS_NAME, path, interface, member, signature, args).data
    )
    return serial


def answers(client: RawClient, serials: Sequence[int]) -> list[Received]:
    """The replies to these calls, which may arrive in any order."""
    found: dict[object, Received] = {}
    while len(found) < len(serials):
        received = client.receive()
        if received.fields.get(REPLY_SERIAL) in serials:
            found[received.fields[REPLY_SERIAL]] = received
    return [found[serial] for serial in serials]


class Polite(threading.Thread):
    """A client that sends requests all the time, and measures how long it waits."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._client = RawClient(address)
        self._end = threading.Event()
        self.longest = 0.0
        self.answers = 0
        self.errors: list[str] = []

    def run(self) -> None:
        while self.answers < 10 or not self._end.wait(0.01):
            started = time.monotonic()
            serials = [
                call(self._client, INTEL, PROPERTIES, "Get", "ss", MODULE, "Nested"),
                call(self._client, INTEL, MODULE, "ListBlockers"),
            ]
            for answer in answers(self._client, serials):
                self.errors += [answer.error] if answer.error else []
                self.answers += 1
            self.longest = max(self.longest, time.monotonic() - started)

    def close(self) -> None:
        self._end.set()
        self.join()
        self._client.sock.close()


class Target:
    """The nestd that all these tests share: it has an object of each kind and a waiting job."""

    def __init__(self, nestd: Nestd) -> None:
        self.nestd = nestd
        self.files = [nestd.kvm_conf, nestd.root / LIBVIRTD_CONF]
        self.contents = [file.read_bytes() for file in self.files]
        self._status = Path(f"/proc/{nestd.process.pid}/status")
        nestd.start_machine("web01")
        with self.client() as client:  # modules loaded with the first calls do not count as growth
            deadline = time.monotonic() + 20
            while not self._machine_count(client):
                assert time.monotonic() < deadline
            job = client.reply_to(call(client, INTEL, MODULE, "Reload", "sa{sv}", "idle", {}))
            assert job.text == JOB_PATH
            for path, interface in OBJECTS.items():
                client.reply_to(call(client, path, INTROSPECTABLE, "Introspect"))
                client.reply_to(call(client, path, PROPERTIES, "GetAll", "s", interface))
        self.start = self._bytes("VmRSS")

    def client(self) -> RawClient:
        return RawClient(self.nestd.address, timeout=30)

    def check_unchanged(self) -> None:
        """Check that no file was changed, nor the job."""
        assert [file.read_bytes() for file in self.files] == self.contents
        with self.client() as client:
            state = client.reply_to(call(client, JOB_PATH, PROPERTIES, "Get", "ss", JOB, "State"))
            assert state.body.endswith(b"\0waiting\0")

    def growth(self) -> int:
        """Bytes between the memory at the start and the peak."""
        return self._bytes("VmHWM") - self.start

    def descriptors(self) -> int:
        """The minimum of several counts: one may include a file that a worker is just reading."""
        place = f"/proc/{self.nestd.process.pid}/fd"
        return min(len(os.listdir(place)) for _ in range(200))

    def _machine_count(self, client: RawClient) -> int:
        serial = call(client, ROOT, PROPERTIES, "Get", "ss", MANAGER, "MachineCount")
        [count] = struct.unpack_from("<I", client.reply_to(serial).body, 4)
        return int(count)

    def _bytes(self, name: str) -> int:
        lines = self._status.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    directory = tmp_path_factory.mktemp("nestd")
    for path in ("usr/sbin/libvirtd", LIBVIRTD_CONF):
        (directory / "root" / path).parent.mkdir(parents=True)
        (directory / "root" / path).touch()
    with ExitStack() as stack:
        bus = stack.enter_context(private_bus(request.param, ROOMY))
        nestd = running_nestd(bus.address, directory, "--simulate", "intel")
        yield Target(stack.enter_context(nestd))


@pytest.fixture
def target(shared: Target, record_property: Callable[[str, object], None]) -> Iterator[Target]:
    """During every test others must be served, and afterwards nestd must be healthy."""
    polite = Polite(shared.nestd.address)
    polite.start()
    yield shared
    polite.close()
    record_property("longest wait of a polite client, ms", round(polite.longest * 1000))
    record_property("growth so far, KiB", shared.growth() // 1024)
    assert polite.errors == []
    assert polite.answers > 0
    assert polite.longest < LONGEST_WAIT
    assert shared.growth() < MOST_GROWTH
    assert shared.nestd.process.poll() is None
    shared.check_unchanged()
    assert "Traceback" not in shared.nestd.log.read_text()


@contextmanager
def reading(client: RawClient, count: int) -> Iterator[Counter[str]]:
    """Read COUNT replies in the background; yields how they ended."""
    outcomes: Counter[str] = Counter()

    def read() -> None:
        for _ in range(count):
            outcomes[client.receive().error] += 1

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield outcomes
    thread.join(60)
    assert sum(outcomes.values()) == count


def test_a_flood_of_10000_calls(target: Target) -> None:
    with target.client() as client, reading(client, 10_000) as outcomes:
        for _ in range(2_500):
            call(client, INTEL, PROPERTIES, "Get", "ss", MODULE, "Nested")
            call(client, ROOT, MANAGER, "ListMachines")
            call(client, INTEL, MODULE, "Reload", "sa{sv}", "sometime", {})
            call(client, ROOT, MANAGER, "Nothing")
    assert outcomes.keys() <= {"", LIMITED, INVALID, ERROR + "UnknownMethod"}
    assert outcomes[""] > 0


def test_500_clients_at_once(target: Target) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(target.client()) for _ in range(500)]
        serials = [
            [
                call(client, ROOT, MANAGER, "ListInhibitors"),
                call(client, INTEL, PROPERTIES, "GetAll", "s", MODULE),
                call(client, INTEL, MODULE, "CanReload"),
            ]
            for client in clients
        ]
        for client, calls in zip(clients, serials):
            assert [answer.error for answer in answers(client, calls)] == ["", "", ""]


def test_500_clients_that_leave_without_waiting(target: Target) -> None:
    descriptors = target.descriptors()
    for _ in range(500):
        with target.client() as client:
            call(client, ROOT, MANAGER, "Describe")
            call(client, ROOT, MANAGER, "Inhibit", "ss", "who", "why")
    deadline = time.monotonic() + 20
    while target.descriptors() > descriptors:  # some calls are still running
        assert time.monotonic() < deadline
    with target.client() as client:
        reply = client.reply_to(call(client, ROOT, MANAGER, "ListInhibitors"))
        assert struct.unpack_from("<I", reply.body) == (0,)


VALUES: dict[str, tuple[object, ...]] = {
    "": (),
    "s": ("x",),
    "ss": ("x", "x"),
    "u": (7,),
    "v": (Variant("s", "x"),),
    "ay": (b"bytes",),
    "a{sv}": ({"x": Variant("u", 7)},),
    "a{ss}sa{sv}u": ({"nested": "1"}, "now", {}, 7),
    "aaaaaaaas": ([[[[[[[["x"]]]]]]]],),
    "(((s)))": (((("x",),),),),
    "s" * 100: ("x",) * 100,
    "v" * 100: (Variant("v", Variant("s", "x")),) * 100,
}


def methods_of_all_objects() -> Iterator[tuple[str, str, str, str]]:
    """Path, interface, member and signature of everything that can be called."""
    for path, own in OBJECTS.items():
        only_root = [OBJECT_MANAGER] if path == ROOT else []
        for interface in (own, PROPERTIES, INTROSPECTABLE, PEER, *only_root):
            for member, types in contract(interface).methods.items():
                yield path, interface, member, types.in_signature


def test_wrong_signatures(target: Target) -> None:
    with target.client() as client:
        for path, interface, member, right in methods_of_all_objects():
            for signature, values in VALUES.items():
                if signature != right:
                    serial = call(client, path, interface, member, signature, *values)
                    assert client.reply_to(serial).error == INVALID, (member, signature)


def test_arrays_of_16_mebibytes(target: Target) -> None:
    text = string("abc")
    assert len(text) == 8
    numbers, strings = array(b"\7\0\0\0" * (4 * MIB)), array(text * (2 * MIB))
    entries = pad(array(b""), 8) + text * (2 * MIB)
    entries = strings[:4] + entries[4:]
    with target.client() as client:
        for signature, body in (("au", numbers), ("as", strings), ("a{ss}", entries)):
            for path, interface, member in (
                (ROOT, MANAGER, "Describe"),
                (INTEL, MODULE, "SetParameters"),
                (ROOT, PROPERTIES, "Get"),
                (ROOT, "x.y", "Z"),
            ):
                serial = client.call(BUS_NAME, path, interface, member, signature, body)
                assert client.reply_to(serial).error == LIMITED


def test_arguments_that_fill_a_mebibyte(target: Target) -> None:
    """They are answered by their content: none is refused for its size or number."""
    entries = MIB // 16 - 8
    parameters = {number.to_bytes(3, "big").hex(): "1" for number in range(entries // 2)}
    options = {
        number.to_bytes(3, "big").hex(): Variant("b", True) for number in range(entries // 2)
    }
    known, text = {"nested": "1"}, "<domain>" + "x" * (MIB - 64)
    with target.client() as client:
        for path, interface, member, signature, args, expected in (
            (INTEL, MODULE, "SetParameters", "a{ss}sa{sv}", (parameters, "boot", {}), PARAMETER),
            (INTEL, MODULE, "Plan", "a{ss}s", (parameters, "boot"), PARAMETER),
            (INTEL, MODULE, "SetParameters", "a{ss}sa{sv}", (known, "boot", options), INVALID),
            (INTEL, MODULE, "SetNested", "bsa{sv}", (True, "boot", options), INVALID),
            (ROOT, MANAGER, "CollectLogs", "a{sv}", (options,), INVALID),
            (INTEL, MODULE, "Reload", "sa{sv}", (text, {}), INVALID),
            (ROOT, MANAGER, "CheckGuest", "s", (text,), INVALID),
        ):
            answer = client.reply_to(call(client, path, interface, member, signature, *args))
            assert answer.error == expected, member
            assert len(answer.text) < 1000


def test_ten_clients_with_two_mebibytes_each(target: Target) -> None:
    """Small in bytes, large as values: at most one call's values are in memory at a time."""
    parameters = {f"p{number}": "x" * 15 for number in range(30_000)}
    features = "".join(
        f"<feature name='feature{number}' policy='require'/>" for number in range(20_000)
    )
    text = f"<domain type='kvm'><cpu mode='host-model'>{features}</cpu></domain>"
    assert len(text) > MIB * 0.8

    def ask(client: RawClient) -> list[int]:
        change = call(client, INTEL, MODULE, "SetParameters", "a{ss}sa{sv}", parameters, "boot", {})
        return [change, call(client, ROOT, MANAGER, "CheckGuest", "s", text)]

    with ExitStack() as stack:
        clients = [stack.enter_context(target.client()) for _ in range(10)]
        asked = [(client, ask(client)) for client in clients]
        found = [[answer.error for answer in answers(*each)] for each in asked]
    assert {change for change, _ in found} <= {PARAMETER, LIMITED}
    assert {check for _, check in found} <= {INVALID, LIMITED}
    assert found != [[LIMITED, LIMITED]] * 10


def test_descriptors_are_not_taken(target: Target) -> None:
    descriptors = target.descriptors()
    reader, writer = os.pipe()
    handles = b"".join(struct.pack("<I", number) for number in range(10))
    with target.client() as client:
        for path, interface, member, _ in methods_of_all_objects():
            fds = [writer] * 10
            serial = client.call(BUS_NAME, path, interface, member, "h" * 10, handles, fds=fds)
            assert client.reply_to(serial).error == INVALID
        names = pad(string(LOG_INTERFACE), 4) + string("LogLevel")
        args = ("Set", "ssv", names + b"\1h\0" + handles[:4])
        serial = client.call(BUS_NAME, LOG_CONTROL, PROPERTIES, *args, fds=[writer])
        assert client.reply_to(serial).error == INVALID
    assert target.descriptors() <= descriptors
    os.close(writer)
    assert os.read(reader, 1) == b""  # no one else holds the other end
    os.close(reader)


def test_names_of_255_characters(target: Target) -> None:
    name = ("x" * 100 + ".") * 2 + "x" * 53
    path = "/" + "x" * 10_000
    assert len(name) == 255
    with target.client() as client:
        for at, interface, member in (
            (ROOT, name, "Describe"),
            (ROOT, MANAGER, "x" * 255),
            (path, MANAGER, "Describe"),
            (path, name, "x" * 255),
            (path, PROPERTIES, "GetAll"),
        ):
            reply = client.reply_to(call(client, at, interface, member))
            assert reply.error.startswith(ERROR + "Unknown")
            assert len(reply.text) < 1000
        for text in (name, "x" * 10_000, "x" * 900_000, "\n" * 255, "\u00e9" * 255):
            serials = [
                call(client, ROOT, MANAGER, "GetModule", "s", text),
                call(client, ROOT, PROPERTIES, "GetAll", "s", text),
                call(client, ROOT, PROPERTIES, "Get", "ss", MANAGER, text),
                call(client, ROOT, MANAGER, "Inhibit", "ss", text * 2, text),
                call(client, INTEL, MODULE, "Plan", "a{ss}s", {text: text}, "now"),
            ]
            for answer in answers(client, serials):
                assert answer.error.startswith(("org.freedesktop.DBus.Error.", OWN_ERROR))
                assert len(answer.text) < 1000


@pytest.mark.parametrize(
    ("path", "interface", "name", "value", "expected"),
    [
        (ROOT, MANAGER, "Version", Variant("s", "9"), "PropertyReadOnly"),
        (ROOT, MANAGER, "Nothing", Variant("s", "9"), "UnknownProperty"),
        (LOG_CONTROL, LOG_INTERFACE, "LogLevel", Variant("u", 7), "InvalidArgs"),
        (LOG_CONTROL, LOG_INTERFACE, "LogTarget", Variant("s", "/x"), "InvalidArgs"),
        (LOG_CONTROL, LOG_INTERFACE, "SyslogIdentifier", Variant("s", "x"), "PropertyReadOnly"),
    ],
)
def test_properties_that_cannot_be_set(
    target: Target, path: str, interface: str, name: str, value: Variant, expected: str
) -> None:
    with target.client() as client:
        serial = call(client, path, PROPERTIES, "Set", "ssv", interface, name, value)
        assert client.reply_to(serial).error == ERROR + expected


def test_clients_that_never_read(target: Target) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(target.client())
            client.sock.settimeout(0.5)
            try:
                for _ in range(1000):
                    call(client, INTEL, INTROSPECTABLE, "Introspect")
                    call(client, ROOT, MANAGER, "Describe")
            except OSError:
                pass  # the bus accepts no more of it
        with target.client() as other:
            assert not other.reply_to(call(other, ROOT, MANAGER, "Describe")).error


def test_inhibitors_are_limited(target: Target) -> None:
    with target.client() as client:
        replies = [
            client.reply_to(call(client, ROOT, MANAGER, "Inhibit", "ss", "who", "why"))
            for _ in range(40)
        ]
        for reply in replies:
            for descriptor in reply.fds:
                os.close(descriptor)
    assert Counter(reply.error for reply in replies) == {"": 16, LIMITED: 24}

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Objects as a well-behaved client sees them: calls, properties, introspection, signals, errors."""

from __future__ import annotations

import asyncio
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Awaitable
from typing import Callable

import pytest
import toy_service
from raw_client import RawClient, string
from toy_process import Toy
from toy_service import MACHINE_ID, NAME, ROOT

from nestd.dbus.connection.dispatch import INTERNAL_ERROR
from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.dbus.objects.exported import Exported, Interface
from nestd.dbus.objects.introspection import parse
from nestd.dbus.objects.tree import ObjectTree
from nestd.dbus.values import Signal, Variant

ERROR = "org.freedesktop.DBus.Error."
BUS = "org.freedesktop.DBus"
PROPERTIES = BUS + ".Properties"
OBJECT_MANAGER = BUS + ".ObjectManager"
CHILDREN = ROOT + "/child"


class Client:
    """A connection that calls the toy service and collects its signals."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.signals: list[Signal] = []

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *args: object
    ) -> object:
        """The single return value, or None."""
        answer = await self.connection.call(NAME, path, interface, member, signature, args)
        return answer[0] if answer else None

    async def heard(self) -> list[Signal]:
        """Signals since the last call; all earlier ones have arrived, since the bus keeps order."""
        await self.call(ROOT, NAME, "Echo", "s", "")
        signals, self.signals = self.signals, []
        return signals


def with_client(toy: Toy, use: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        client = Client(await Connection.connect(toy.bus.address))
        await client.connection.subscribe(f"sender='{NAME}'", lambda it: client.signals.append(it))
        await use(client)
        client.connection.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "args", "error"),
    [
        ("/nope", NAME, "Echo", "s", ["x"], "UnknownObject"),
        ("/nope", BUS + ".Introspectable", "Introspect", "", [], "UnknownObject"),
        ("/org/example", NAME, "Echo", "s", ["x"], "UnknownObject"),
        ("/org/example", PROPERTIES, "GetAll", "s", [""], "UnknownObject"),
        (ROOT, "no.such.Interface", "Echo", "s", ["x"], "UnknownInterface"),
        (ROOT, NAME, "Nope", "", [], "UnknownMethod"),
        (ROOT, NAME, "Echo", "", [], "InvalidArgs"),
        (ROOT, NAME, "Echo", "ss", ["x", "y"], "InvalidArgs"),
        (ROOT, PROPERTIES, "Get", "s", [NAME], "InvalidArgs"),
        (ROOT, PROPERTIES, "Get", "ss", [NAME, "Nope"], "UnknownProperty"),
        (ROOT, PROPERTIES, "Get", "ss", [NAME, "\n" * 1000], "UnknownProperty"),
        (ROOT, PROPERTIES, "Get", "ss", [BUS + ".Peer", "Nope"], "UnknownProperty"),
        (ROOT, PROPERTIES, "Get", "ss", ["no.such.Interface", "Count"], "UnknownInterface"),
        (ROOT, PROPERTIES, "Get", "ss", [NAME, "Broken"], "Failed"),
        (ROOT, PROPERTIES, "GetAll", "s", ["no.such.Interface"], "UnknownInterface"),
        (ROOT, PROPERTIES, "Set", "ssv", [NAME, "Count", Variant("u", 1)], "PropertyReadOnly"),
        (ROOT, PROPERTIES, "Set", "ssv", [NAME, "Nope", Variant("u", 1)], "UnknownProperty"),
        (ROOT, PROPERTIES, "Set", "ssv", [NAME, "Level", Variant("u", 1)], "InvalidArgs"),
        (ROOT, PROPERTIES, "Set", "ssv", [NAME, "Level", Variant("s", "wrong")], "InvalidArgs"),
    ],
)
def test_errors_are_one_plain_sentence(
    toy: Toy,
    path: str,
    interface: str,
    member: str,
    signature: str,
    args: list[object],
    error: str,
) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(BusError) as caught:
            await client.call(path, interface, member, signature, *args)
        assert caught.value.name == ERROR + error
        assert caught.value.text.endswith(".")
        assert caught.value.text.isprintable()
        assert len(caught.value.text) < 1000

    with_client(toy, use)


@pytest.mark.parametrize("kind", ["os", "reply", "key"])
def test_exceptions_are_not_told_to_strangers(toy: Toy, kind: str) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(BusError) as caught:
            await client.call(ROOT, NAME, "Raise", "s", kind)
        assert caught.value.name == ERROR + "Failed"
        assert caught.value.text == INTERNAL_ERROR
        assert "/" not in caught.value.text

    with_client(toy, use)
    assert "Traceback" in toy.log.read_text()


def test_call_that_is_given_up_is_answered(toy: Toy) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(BusError, match="cancelled"):
            await client.call(ROOT, NAME, "Raise", "s", "cancel")

    with_client(toy, use)


@pytest.mark.parametrize(
    ("kind", "error"), [("known", "org.example.Error.TooLate"), ("", "org.example.Error.Mine")]
)
def test_errors_of_the_program_have_their_names(toy: Toy, kind: str, error: str) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(BusError) as caught:
            await client.call(ROOT, NAME, "Raise", "s", kind)
        assert caught.value.name == error

    with_client(toy, use)


def test_callers_and_their_flags_are_not_mixed_up(toy: Toy) -> None:
    async def ask(connection: Connection, milliseconds: int, interactive: bool) -> bool:
        args = [milliseconds]
        answer = await connection.call(NAME, ROOT, NAME, "Wait", "u", args, interactive=interactive)
        return answer == (connection.unique_name, interactive)

    async def main() -> list[bool]:
        connections = [await Connection.connect(toy.bus.address) for _ in range(8)]
        asked = [
            ask(connection, 10 * (7 - number), bool(number & turn))
            for number, connection in enumerate(connections)
            for turn in (1, 2)
        ]
        right = await asyncio.gather(*asked)
        for connection in connections:
            connection.close()
        return list(right)

    assert asyncio.run(main()) == [True] * 16


@pytest.mark.parametrize(
    ("member", "signature", "args", "answer"),
    [("Echo", "s", string("x"), "x"), ("GetMachineId", "", b"", MACHINE_ID)],
)
def test_interface_may_be_left_out(
    toy: Toy, member: str, signature: str, args: bytes, answer: str
) -> None:
    with toy.client() as client:
        serial = client.call(NAME, ROOT, "", member, signature, args)
        assert client.reply_to(serial).text == answer


def test_peer_is_on_every_path(toy: Toy) -> None:
    async def use(client: Client) -> None:
        for path in ("/", "/nope", ROOT):
            assert await client.call(path, BUS + ".Peer", "Ping") is None
            assert await client.call(path, BUS + ".Peer", "GetMachineId") == MACHINE_ID

    with_client(toy, use)


def test_introspection_is_the_contract(toy: Toy) -> None:
    async def use(client: Client) -> None:
        text = await client.call(ROOT, BUS + ".Introspectable", "Introspect")
        assert isinstance(text, str)
        assert "Comments" not in text
        shown = {each.attrib["name"]: each for each in ET.fromstring(text).iter("interface")}
        assert set(shown) == {
            NAME,
            OBJECT_MANAGER,
            PROPERTIES,
            BUS + ".Introspectable",
            BUS + ".Peer",
        }
        assert canonical(shown[NAME]) == canonical(ET.fromstring(toy_service.XML)[0])

    with_client(toy, use)


def canonical(element: ET.Element) -> str:
    return ET.canonicalize(ET.tostring(element, encoding="unicode"), strip_text=True)


def test_tree_is_seen_from_its_root(toy: Toy) -> None:
    async def nodes(client: Client, path: str) -> list[str]:
        text = await client.call(path, BUS + ".Introspectable", "Introspect")
        return [each.attrib["name"] for each in ET.fromstring(str(text)).findall("node")]

    async def use(client: Client) -> None:
        await client.call(ROOT, NAME, "Add", "s", "one")
        await client.call(ROOT, NAME, "Add", "s", "two")
        assert await nodes(client, "/") == ["org"]
        assert await nodes(client, "/org") == ["example"]
        assert await nodes(client, ROOT) == ["child"]
        assert await nodes(client, CHILDREN) == ["one", "two"]
        assert await nodes(client, CHILDREN + "/one") == []
        await client.call(ROOT, NAME, "Remove", "s", "one")
        await client.call(ROOT, NAME, "Remove", "s", "two")
        assert await nodes(client, ROOT) == []

    with_client(toy, use)


def test_busctl_reads_it(toy: Toy) -> None:
    def busctl(*args: str) -> str:
        command = ["busctl", f"--address={toy.bus.address}", *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    rows = [line.split() for line in busctl("introspect", NAME, ROOT).splitlines()]
    flags = {row[0]: row[-1] for row in rows if row[1] == "property"}
    assert flags[".Version"] == "const"
    assert flags[".Count"] == "emits-change"
    assert flags[".Large"] == "emits-invalidation"
    assert flags[".Silent"] == "-"
    assert flags[".Level"] == "writable"
    assert ROOT in busctl("tree", NAME)


def test_properties_that_cannot_be_read_do_not_hide_the_others(toy: Toy) -> None:
    async def use(client: Client) -> None:
        everything = await client.call(ROOT, PROPERTIES, "GetAll", "s", "")
        assert everything == await client.call(ROOT, PROPERTIES, "GetAll", "s", NAME)
        assert isinstance(everything, dict)
        assert set(everything) == {"Version", "Count", "Silent", "Large", "Rows", "Level"}
        assert everything["Version"] == Variant("s", "1.0\ufffd\ufffd")
        for name, value in everything.items():
            assert await client.call(ROOT, PROPERTIES, "Get", "ss", NAME, name) == value
            assert await client.call(ROOT, PROPERTIES, "Get", "ss", "", name) == value
        assert await client.call(ROOT, PROPERTIES, "GetAll", "s", BUS + ".Peer") == {}

    with_client(toy, use)


def test_one_signal_tells_of_all_that_changed(toy: Toy) -> None:
    async def use(client: Client) -> None:
        await client.call(ROOT, NAME, "Bump")
        count = await client.call(ROOT, PROPERTIES, "Get", "ss", NAME, "Count")
        assert isinstance(count, Variant)
        (changed,) = await client.heard()
        assert (changed.path, changed.interface) == (ROOT, PROPERTIES)
        values = {"Count": count, "Rows": Variant("a(ssus)", [("a", "b", count.value, "c")])}
        assert changed.args == (NAME, values, ["Large"])

    with_client(toy, use)


def test_property_that_is_set_is_signalled_once(toy: Toy) -> None:
    async def use(client: Client) -> None:
        for value in ("debug", "debug", "info"):
            await client.call(ROOT, PROPERTIES, "Set", "ssv", NAME, "Level", Variant("s", value))
        values = [signal.args[1] for signal in await client.heard()]
        assert values == [{"Level": Variant("s", value)} for value in ("debug", "info")]

    with_client(toy, use)


def test_objects_come_and_go_at_their_manager(toy: Toy) -> None:
    async def use(client: Client) -> None:
        await client.call(ROOT, NAME, "Add", "s", "one")
        objects = await client.call(ROOT, OBJECT_MANAGER, "GetManagedObjects")
        child = {"org.example.Child": {"Name": Variant("s", "one")}}
        assert objects == {CHILDREN + "/one": child}
        with pytest.raises(BusError, match="UnknownInterface"):
            await client.call(CHILDREN + "/one", OBJECT_MANAGER, "GetManagedObjects")
        await client.call(ROOT, NAME, "Remove", "s", "one")
        added, removed = await client.heard()
        assert (added.path, added.member) == (ROOT, "InterfacesAdded")
        assert added.args == (CHILDREN + "/one", child)
        assert (removed.path, removed.member) == (ROOT, "InterfacesRemoved")
        assert removed.args == (CHILDREN + "/one", ["org.example.Child"])
        with pytest.raises(BusError, match="UnknownObject"):
            await client.call(CHILDREN + "/one", PROPERTIES, "GetAll", "s", "")

    with_client(toy, use)


def test_client_that_leaves_is_noticed(toy: Toy) -> None:
    async def use(client: Client) -> None:
        with RawClient(toy.bus.address) as leaving:
            name = leaving.unique_name
            leaving.call(NAME, ROOT, NAME, "Watch")
            leaving.reply_to(leaving.call(NAME, ROOT, NAME, "Echo", "s", string("x")))
        for _ in range(500):
            if client.signals:
                break
            await asyncio.sleep(0.01)
        (left,) = client.signals
        assert (left.member, left.args) == ("Left", (name,))

    with_client(toy, use)


class Moody(Interface):
    """Properties that sometimes cannot be read."""

    spec = parse(
        '<node><interface name="a.b"><property name="Value" type="u" access="read"/>'
        '<method name="Do"/></interface></node>'
    )

    def __init__(self) -> None:
        self.value: object = 1

    def properties(self) -> dict[str, object]:
        if self.value is None:
            raise RuntimeError("in a bad mood")
        return {"Value": self.value}


class Well(Moody):
    def methods(self) -> dict[str, toy_service.Handler]:
        return {"Do": self._do}

    async def _do(self, call: object) -> list[object]:
        return []


def test_handlers_have_to_be_those_of_the_contract() -> None:
    with pytest.raises(ValueError, match=r"a\.b and its handlers differ in Do"):
        Exported("/", [Moody()])


def test_what_cannot_be_read_stays_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    moody = Well()
    exported = Exported("/", [moody])
    for value in (None, "no number", -1, None):
        moody.value = value
        assert exported.read("a.b")["Value"].value == 1
        assert list(exported.changes()) == []
    assert caplog.text.count("Traceback") == 2
    moody.value = 2
    (change,) = exported.changes()
    assert change.values["Value"].value == 2


def test_path_is_exported_once(toy: Toy) -> None:
    async def use(client: Client) -> None:
        tree = ObjectTree(client.connection, "/x")
        tree.export("/x", [Well()])
        with pytest.raises(ValueError, match="exported already"):
            tree.export("/x", [Well()])

    with_client(toy, use)

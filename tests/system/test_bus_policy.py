# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shipped D-Bus policy, combined with rules like the system bus's: what it lets through.

A dummy service owns nestd's name and sees what arrives; the last test uses nestd itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import polkit
import pytest
from callers import CHALLENGED, DONE, ERROR, user
from contract import contract
from private_bus import KINDS, PrivateBus, private_bus
from raw_client import (
    CALL,
    DESTINATION,
    ERROR_NAME,
    INTERFACE,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SIGNAL,
    RawClient,
    Received,
    message,
    string,
)
from raw_client import ERROR as ERROR_MESSAGE
from running_nestd import BUS_NAME, ROOT, running_nestd
from users import acting_as, nobody

POLICY = Path(__file__).parents[2] / "systemd" / "org.nestd1.conf"
# The rules of /usr/share/dbus-1/system.conf before it includes the services' policies, with a
# simplified policy for polkit.
LIKE_THE_SYSTEM_BUS = """
  <policy context="default">
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow own="org.freedesktop.PolicyKit1"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
"""
STANDARD = "org.freedesktop.DBus."
INTERFACES = (
    "org.nestd1.Manager",
    "org.nestd1.Module",
    "org.nestd1.LogDaemon",
    "org.nestd1.Job",
    STANDARD + "Introspectable",
    STANDARD + "ObjectManager",
    STANDARD + "Peer",
    STANDARD + "Properties",
)
DENIED = ERROR + "AccessDenied"
BUS = "org.freedesktop.DBus"


@pytest.fixture(params=KINDS)
def strict_bus(request: pytest.FixtureRequest) -> Iterator[PrivateBus]:
    with private_bus(request.param, LIKE_THE_SYSTEM_BUS + f"<include>{POLICY}</include>") as bus:
        yield bus


def client(bus: PrivateBus, uid: int) -> RawClient:
    with acting_as(uid):
        return RawClient(bus.address)


def request_name(client: RawClient, name: str = BUS_NAME) -> Received:
    body = string(name)
    body += bytes(-len(body) % 4) + b"\4\0\0\0"  # do not queue
    return client.reply_to(client.call(BUS, "/", BUS, "RequestName", "su", body))


class Stage:
    """The dummy service, and a client whose messages may or may not reach it."""

    def __init__(self, bus: PrivateBus, uid: int, stack: ExitStack) -> None:
        self.owner = stack.enter_context(client(bus, 0))
        assert not request_name(self.owner).error
        self.sender = stack.enter_context(client(bus, uid))

    def send(self, kind: int, **fields: str | int) -> int:
        codes = {"path": PATH, "interface": INTERFACE, "member": MEMBER}
        codes.update(destination=DESTINATION, error=ERROR_NAME, reply_serial=REPLY_SERIAL)
        serial = self.sender.next_serial()
        header = {codes[name]: value for name, value in fields.items()}
        self.sender.send(message(kind, serial, header))
        return serial

    def call(self, destination: str, interface: str, member: str) -> int:
        fields = {"destination": destination, "path": ROOT, "member": member}
        return self.send(CALL, **fields, **({"interface": interface} if interface else {}))

    def arrived(self) -> list[Received]:
        """The messages that the dummy service has received so far."""
        self.call(BUS_NAME, STANDARD + "Peer", "Ping")
        found = []
        while True:
            received = self.owner.receive()
            if received.fields.get(MEMBER) == "Ping":
                return found
            found.append(received)


@pytest.fixture(params=["root", "nobody"])
def stage(strict_bus: PrivateBus, request: pytest.FixtureRequest) -> Iterator[Stage]:
    stranger = nobody()
    with ExitStack() as stack:
        yield Stage(strict_bus, 0 if request.param == "root" else stranger, stack)


def members() -> list[tuple[str, str]]:
    found = []
    for interface in INTERFACES:
        found += [(interface, member) for member in contract(interface).methods]
    return [pair for pair in found if pair[1] != "Ping"]


@pytest.mark.parametrize("by", ["name", "unique name"])
def test_every_method_can_be_called(stage: Stage, by: str) -> None:
    destination = BUS_NAME if by == "name" else stage.owner.unique_name
    for interface, member in members():
        stage.call(destination, interface, member)
    arrived = [(each.fields[INTERFACE], each.fields[MEMBER]) for each in stage.arrived()]
    assert arrived == members()
    assert len(arrived) > 20


@pytest.mark.parametrize("by", ["name", "unique name"])
@pytest.mark.parametrize(
    ("interface", "member"),
    [
        ("org.nestd1", "Describe"),
        ("org.nestd1.Nothing", "Describe"),
        ("org.nestd2.Manager", "Describe"),
        ("org.freedesktop.DBus", "Hello"),
        ("org.freedesktop.DBus.Monitoring", "BecomeMonitor"),
        ("org.freedesktop.systemd1.Manager", "Reboot"),
        ("", "Describe"),
    ],
)
def test_nothing_else_can_be_called(stage: Stage, by: str, interface: str, member: str) -> None:
    destination = BUS_NAME if by == "name" else stage.owner.unique_name
    serial = stage.call(destination, interface, member)
    assert stage.arrived() == []
    assert stage.sender.reply_to(serial).error == DENIED


@pytest.mark.parametrize("by", ["name", "unique name"])
@pytest.mark.parametrize("interface", ["org.nestd1.Manager", "x.y", STANDARD + "Properties"])
def test_signals_to_nestd_alone_are_denied(stage: Stage, by: str, interface: str) -> None:
    destination = BUS_NAME if by == "name" else stage.owner.unique_name
    stage.send(SIGNAL, destination=destination, path=ROOT, interface=interface, member="JobNew")
    assert stage.arrived() == []


def test_answers_that_nobody_asked_for_are_denied(stage: Stage) -> None:
    for destination in (BUS_NAME, stage.owner.unique_name):
        stage.send(RETURN, destination=destination, reply_serial=3)
        stage.send(ERROR_MESSAGE, destination=destination, reply_serial=3, error="x.y")
    assert stage.arrived() == []


def test_broadcasts_that_nestd_listens_to_arrive(stage: Stage) -> None:
    rule = string("type='signal',interface='org.freedesktop.systemd1.Manager'")
    serial = stage.owner.call(BUS, "/", BUS, "AddMatch", "s", rule)
    assert not stage.owner.reply_to(serial).error
    interface = "org.freedesktop.systemd1.Manager"
    stage.send(SIGNAL, path="/x", interface=interface, member="Reloading")
    assert [each.fields[MEMBER] for each in stage.arrived()] == ["Reloading"]


def test_answers_to_nestd_s_own_calls_arrive(strict_bus: PrivateBus) -> None:
    with client(strict_bus, 0) as owner, client(strict_bus, nobody()) as polkitd:
        assert not request_name(owner).error
        assert not request_name(polkitd, polkit.NAME).error
        for kind, fields in ((RETURN, {}), (ERROR_MESSAGE, {ERROR_NAME: "x.y"})):
            serial = owner.call(polkit.NAME, polkit.PATH, polkit.AUTHORITY, "CheckAuthorization")
            asked = next(each for each in iter(polkitd.receive, None) if each.kind == CALL)
            header: dict[int, str | int] = {DESTINATION: owner.unique_name}
            header.update({REPLY_SERIAL: asked.serial, **fields})
            polkitd.send(message(kind, polkitd.next_serial(), header))
            assert owner.reply_to(serial).kind == kind


def test_only_root_may_have_the_name(strict_bus: PrivateBus) -> None:
    with client(strict_bus, nobody()) as stranger, client(strict_bus, 0) as root:
        assert request_name(stranger).error == DENIED
        assert request_name(root).body == b"\1\0\0\0"


@pytest.mark.needs("python3 -m dbusmock")
def test_nestd_itself_works_under_the_policy(strict_bus: PrivateBus, tmp_path: Path) -> None:
    async def test() -> None:
        async with user(strict_bus, nobody()) as stranger, user(strict_bus, 0) as root:
            assert await stranger.set_nested(False) == CHALLENGED
            assert await stranger.set_log_level("debug") == CHALLENGED
            assert await root.set_nested(False) == DONE
            assert await root.set_log_level("debug") == DONE
            for interface, member in (
                (STANDARD + "Properties", "GetAll"),
                ("org.nestd1.Manager", "GetModule"),
            ):
                args = ("org.nestd1.Manager" if member == "GetAll" else "kvm_intel",)
                assert await stranger.ask(ROOT, interface, member, "s", *args) == DONE

    with polkit.recorder(strict_bus.address, tmp_path / "polkit.log"):
        polkit.add_method(strict_bus.address, polkit.QUESTION, "ret = (False, True, {})")
        with running_nestd(strict_bus.address, tmp_path, "--simulate", "intel"):
            asyncio.run(test())


def test_caller_without_descriptors_is_told_under_the_policy(
    strict_bus: PrivateBus, tmp_path: Path
) -> None:
    """The policy allows nestd to ask the bus whether the caller accepts descriptors."""
    with running_nestd(strict_bus.address, tmp_path, "--simulate", "intel"):
        for takes in (False, True):
            with RawClient(strict_bus.address, takes_descriptors=takes) as caller:
                body = string("who")
                body += bytes(-len(body) % 4) + string("why")
                interface = "org.nestd1.Manager"
                serial = caller.call(BUS_NAME, ROOT, interface, "Inhibit", "ss", body)
                assert caller.reply_to(serial).error == ("" if takes else ERROR + "NotSupported")

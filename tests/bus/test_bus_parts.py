# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of the bus floor that need no bus: match rules, limits, contracts."""

from __future__ import annotations

import asyncio
import typing

import pytest
from contract import FILES, contract

from nestd.dbus.connection.callers import MAX_BYTES, MAX_CALLS, MAX_CALLS_PER_SENDER, Callers
from nestd.dbus.connection.matching import MatchRule
from nestd.dbus.connection.messages import Header
from nestd.dbus.errors import LIMITS_EXCEEDED, BusError
from nestd.dbus.objects.interface import Emits, InterfaceSpec
from nestd.formats.api import module


def header(**fields: typing.Any) -> Header:
    rest: dict[str, typing.Any] = {"path": "/", "interface": "a.b", "member": "C"}
    rest.update(sender=":1.1", signature="")
    rest.update(fields)
    return Header(
        4, 1, error_name="", reply_serial=0, fds=0, wants_reply=False, interactive=False, **rest
    )


@pytest.mark.parametrize(
    ("rule", "path", "matches"),
    [
        ("type='signal'", "/x", True),
        ("path='/x'", "/x", True),
        ("path='/x'", "/x/y", False),
        ("path_namespace='/x'", "/x", True),
        ("path_namespace='/x'", "/x/y", True),
        ("path_namespace='/x'", "/xy", False),
        ("path_namespace='/'", "/", True),
        ("path_namespace='/'", "/x", True),
        ("interface='a.b',member='C'", "/", True),
        ("interface='a.c',member='C'", "/", False),
        ("interface='a.b',member='D'", "/", False),
    ],
)
def test_match_rules(rule: str, path: str, matches: bool) -> None:
    assert MatchRule.parse(rule).matches_header(header(path=path)) == matches


def test_match_rules_look_at_arguments() -> None:
    rule = MatchRule.parse("arg0='x',arg2=''")
    assert rule.matches_args(["x", 1, ""])
    assert not rule.matches_args(["x", 1, "y"])
    assert not rule.matches_args(["x"])


@pytest.mark.parametrize("rule", ["", "path", "path=/x", "type='error'", "arg0path='/x'", "a='b'"])
def test_match_rules_that_are_none(rule: str) -> None:
    with pytest.raises(ValueError, match="not a match rule"):
        MatchRule.parse(rule)


def test_calls_at_work_are_limited() -> None:
    callers = Callers()
    for _ in range(MAX_CALLS_PER_SENDER):
        callers.admit(":1.1", 10)
    with pytest.raises(BusError, match=LIMITS_EXCEEDED):
        callers.admit(":1.1", 10)
    callers.release(":1.1", 10)
    callers.admit(":1.1", 10)
    with pytest.raises(BusError, match="Too many calls"):
        callers.admit(":1.2", MAX_BYTES)
    for number in range(MAX_CALLS - MAX_CALLS_PER_SENDER):
        callers.admit(f":2.{number}", 0)
    with pytest.raises(BusError, match="Too many calls"):
        callers.admit(":2.1", 0)
    callers.admit(":1.2", 0)  # a sender without a running call is served
    with pytest.raises(BusError, match="Too many calls"):
        callers.admit(":1.2", 0)
    with pytest.raises(BusError, match="Too many calls"):
        callers.admit(":1.3", 10_000)


def test_who_has_left_is_known_and_then_forgotten() -> None:
    async def main() -> None:
        callers = Callers()
        callers.admit(":1.1", 0)
        callers.admit(":1.2", 0)
        event = callers.vanished(":1.1")
        callers.release(":1.1", 0)
        assert not event.is_set()
        callers.left(":1.1")
        assert event.is_set()
        callers.left(":1.2")
        assert callers.vanished(":1.2").is_set()
        callers.release(":1.2", 0)
        callers.left(":1.3")
        for name in (":1.1", ":1.2", ":1.3"):
            with pytest.raises(LookupError):
                callers.vanished(name)

    asyncio.run(main())


@pytest.mark.parametrize("name", FILES)
def test_shipped_contracts_can_be_read(name: str) -> None:
    spec = contract(name)
    assert spec.name == name
    assert spec.xml.startswith(f'<interface name="{name}">')
    assert "<!--" not in spec.xml
    assert "\n\n" not in spec.xml


def test_contract_of_a_module() -> None:
    spec = InterfaceSpec.of(module.TABLE)
    assert spec.methods["SetNested"].in_signature == "bsa{sv}"
    assert spec.methods["SetNested"].out_signature == "o"
    assert spec.properties["Assignments"].signature == "a(sssu)"
    assert spec.properties["Name"].emits is Emits.CONST
    assert spec.properties["RefCount"].emits is Emits.NOTHING
    assert spec.properties["State"].emits is Emits.VALUE
    assert not any(each.writable for each in spec.properties.values())

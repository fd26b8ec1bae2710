# SPDX-License-Identifier: LGPL-2.1-or-later
"""A method or a writable property that declares nothing cannot be exported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import pytest

from nestd.bus.authorization import Action, Authorizer
from nestd.bus.declared import DeclaredInterface, needs, reads
from nestd.dbus.objects.introspection import parse
from nestd.dbus.values import Call

XML = """<node><interface name="a.b"><method name="Read"/><method name="Change"/>
<property name="Level" type="s" access="readwrite"/></interface></node>"""
CALLER = 1000


class Asked(list[Action]):
    """A fake polkit: allows everything, and records the requests."""

    async def require(self, call: Call, action: Action, details: Mapping[str, str]) -> int:
        self.append(action)
        return CALLER


class Complete(DeclaredInterface):
    spec = parse(XML)
    settable: ClassVar[Mapping[str, Action]] = {"Level": Action.MANAGE}

    @reads("Read")
    async def _read(self, call: Call) -> Sequence[object]:
        return [await self.authorize(call, Action.CONFIGURE_MODULES, {})]

    @needs("Change", Action.CONFIGURE_LOGS)
    async def _change(self, call: Call) -> Sequence[object]:
        return [await self.authorize(call, Action.CONFIGURE_LOGS, {})]


class ForgotItsProperty(Complete):
    settable: ClassVar[Mapping[str, Action]] = {}


class ForgotAMethod(DeclaredInterface):
    spec = parse(XML)
    settable: ClassVar[Mapping[str, Action]] = {"Level": Action.MANAGE}

    @reads("Read")
    async def _read(self, call: Call) -> Sequence[object]:
        return []

    async def _change(self, call: Call) -> Sequence[object]:
        return []


def call(member: str) -> Call:
    return Call(":1.1", "/", "a.b", member, (), False)


@pytest.mark.parametrize(
    ("kind", "name"), [(ForgotItsProperty, "Level"), (ForgotAMethod, "Change")]
)
def test_what_is_not_declared_is_not_exported(kind: type[DeclaredInterface], name: str) -> None:
    with pytest.raises(TypeError, match=f"a.b: {name} declares neither reading nor an action"):
        kind(cast("Authorizer", Asked()))


def test_a_handler_gets_the_uid_of_a_caller_who_may() -> None:
    asked = Asked()
    handlers = Complete(cast("Authorizer", asked)).methods()
    assert asyncio.run(handlers["Change"](call("Change"))) == [CALLER]
    assert asked == [Action.CONFIGURE_LOGS]


def test_a_handler_cannot_ask_for_what_it_has_not_declared() -> None:
    asked = Asked()
    handlers = Complete(cast("Authorizer", asked)).methods()
    with pytest.raises(RuntimeError, match=r"Read does not declare org\.nestd1\.configure-modules"):
        asyncio.run(handlers["Read"](call("Read")))
    assert asked == []

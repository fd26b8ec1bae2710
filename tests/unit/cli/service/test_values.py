# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values against the contract: each property is read, with its type there."""

from __future__ import annotations

import re

import pytest

from nestd.cli.service import values
from nestd.cli.service.values import Blocker, Job, LogDaemon, Module
from nestd.dbus.values import Variant
from nestd.formats.api import job, log_daemon, manager, module
from nestd.formats.api.table import InterfaceTable
from nestd.formats.modprobe.load_obstacle import LoadObstacle

KINDS = [(Module, module.TABLE), (Job, job.TABLE), (LogDaemon, log_daemon.TABLE)]
STRUCTS = {
    (module.TABLE.name, "Assignments"): values.Assignment,
    (module.TABLE.name, "LoadObstacles"): LoadObstacle,
    (module.TABLE.name, "Pending"): values.Difference,
    (job.TABLE.name, "Blockers"): Blocker,
}
ANSWERS = {
    "ListMachines": values.Machine,
    "ListInhibitors": values.Inhibitor,
    "Validate": values.Finding,
    "Posture": values.Finding,
}


def _members(signature: str) -> int:
    """The number of members of a struct with only basic types."""
    return len(re.sub(r"[a(){}]", "", signature))


@pytest.mark.parametrize(
    ("kind", "table"), KINDS, ids=lambda each: each.__name__ if isinstance(each, type) else ""
)
def test_each_property_is_read(kind: type, table: InterfaceTable) -> None:
    fields = {values.property_of(field) for field in kind._fields}  # type: ignore[attr-defined]
    assert set(table.properties) - fields == set()


@pytest.mark.parametrize(
    ("kind", "table"), KINDS, ids=lambda each: each.__name__ if isinstance(each, type) else ""
)
def test_structs_have_as_many_fields_as_in_the_contract(kind: type, table: InterfaceTable) -> None:
    for name, given in table.properties.items():
        if "(" in given.signature:
            struct = STRUCTS[table.name, name]
            assert len(struct._fields) == _members(given.signature), name


def test_answers_have_as_many_fields_as_the_contract_says() -> None:
    for member, struct in ANSWERS.items():
        if member in manager.TABLE.methods:
            [(_, signature)] = manager.TABLE.methods[member].gives
            assert len(struct._fields) == _members(signature), member


def test_what_an_older_service_does_not_tell_keeps_its_default() -> None:
    given = {
        "Id": Variant("u", 3),
        "Kind": Variant("s", "reload"),
        "Subject": Variant("o", "/org/nestd1/module/kvm_intel"),
        "StartedByUid": Variant("u", 0),
        "State": Variant("s", "waiting"),
        "Blockers": Variant("a(ssus)", [("machine", "web1", 7, "")]),
        "Error": Variant("s", ""),
    }
    blocker = Blocker("machine", "web1", 7, "")
    expected = Job(3, "reload", "kvm_intel", 0, "waiting", (blocker,), "", 0)
    assert values.from_properties(Job, given) == expected


def test_keys_of_later_versions_are_left_out() -> None:
    given = {"pid": Variant("u", 7), "name": Variant("s", "web1"), "vmm": Variant("s", "qemu")}
    given |= {"unit": Variant("s", ""), "colour": Variant("s", "green")}
    assert values.from_keys(values.Guest, given) == values.Guest(7, "web1", "qemu", "")


def test_values_become_objects_of_json() -> None:
    blocker = Blocker("machine", "web1", 7, "")
    assert values.as_plain({"a": (blocker, None)}) == {
        "a": [{"kind": "machine", "name": "web1", "pid": 7, "detail": ""}, None]
    }


def test_places_in_words() -> None:
    assert values.place("/etc/modprobe.d/a.conf", 3) == "/etc/modprobe.d/a.conf:3"
    assert values.place("/proc/cmdline", 0) == "the kernel command line"

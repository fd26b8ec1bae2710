# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl guests deny and allow, on domain definitions of the real libvirt."""

from __future__ import annotations

import difflib
import json

import pytest
from private_bus import PrivateBus
from real_guests import Guests
from scripted_nestd import Script, scripted_nestd

pytestmark = pytest.mark.machines
EPYC = "<cpu mode='custom' match='exact'><model>EPYC</model></cpu>"
WHOLE = "<cpu mode='host-passthrough'><topology sockets='1' cores='1' threads='1'/></cpu>"
REQUIRED = (
    "<cpu mode='custom' match='exact'><model>kvm64</model>"
    "<feature policy='require' name='svm'/><feature policy='disable' name='pni'/></cpu>"
)


def lines(before: str, after: str) -> list[str]:
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [" ".join(line.split()) for line in found if line[:3] not in ("---", "+++", "@@ ")]


@pytest.mark.parametrize(
    ("cpu", "taken"),
    [
        (EPYC, ["+ <feature policy='disable' name='svm'/>"]),
        (WHOLE, ["+ <feature policy='disable' name='svm'/>"]),
        (
            "<cpu mode='host-model'/>",
            [
                "- <cpu mode='host-model' check='partial'/>",
                "+ <cpu mode='host-model' check='partial'>",
                "+ <feature policy='disable' name='svm'/>",
                "+ </cpu>",
            ],
        ),
        (
            REQUIRED,
            [
                "- <feature policy='require' name='svm'/>",
                "+ <feature policy='disable' name='svm'/>",
            ],
        ),
        (
            "",
            ["+ <feature policy='disable' name='svm'/>"],
        ),
    ],
)
def test_one_line_changes_and_comes_back(
    cpu: str, taken: list[str], bus: PrivateBus, guests: Guests
) -> None:
    guests.define_kvm("web 1", cpu)
    first = guests.definition("web 1")
    with scripted_nestd(bus.address, Script(vendor="amd")):
        plan = guests.nestctl("guests", "deny", "web 1", "--dry-run")
        assert (plan.code, guests.definition("web 1")) == (0, first)
        done = guests.nestctl("guests", "deny", "web 1")
        denied = guests.definition("web 1")
        again = guests.nestctl("guests", "deny", "web 1")
        given = guests.nestctl("guests", "allow", "web 1")
        allowed = guests.definition("web 1")
    assert done.code == again.code == given.code == 0, done.err + given.err
    assert lines(first, denied) == taken
    for line in taken:
        assert line.split("<")[1] in plan.out
        assert line.split("<")[1] in done.out
    assert done.out.startswith("web 1: svm is withheld from it from its next start on.\n")
    assert again.out == "web 1: nothing to do, svm is withheld from it already.\n"
    assert "passwd='secret'" in denied
    assert "secret" not in done.out + plan.out
    if "host-passthrough" in cpu:
        assert allowed == first
    else:
        assert lines(denied, allowed) == [
            "- <feature policy='disable' name='svm'/>",
            "+ <feature policy='require' name='svm'/>",
        ]
    guests.virsh("undefine", "web 1")


def test_a_guest_that_runs_and_one_with_a_saved_state_are_told(
    bus: PrivateBus, guests: Guests
) -> None:
    for name in ("runs", "saved"):
        guests.define_kvm(name)
        guests.start(name)
    guests.virsh("managedsave", "saved")
    guests.define_kvm("off")
    live = guests.virsh("dumpxml", "runs")
    with scripted_nestd(bus.address, Script(vendor="amd")):
        done = guests.nestctl("guests", "deny", "--all")
        document = json.loads(guests.nestctl("guests", "deny", "--all", "--json").out)
    assert done.code == 0, done.err
    assert guests.virsh("dumpxml", "runs") == live
    for name in ("runs", "saved", "off"):
        assert "<feature policy='disable' name='svm'/>" in guests.definition(name)
        assert f"{name}: svm is withheld" in done.out
    assert "runs runs on with what it has until it is shut down and started" in done.err
    assert "Warning: saved has a saved state, and its next start ignores the change" in done.err
    assert {each["name"]: each["managed_save"] for each in document["guests"]} == {
        "runs": False,
        "saved": True,
        "off": False,
    }
    assert not any(each["changed"] for each in document["guests"])
    guests.virsh("destroy", "runs")
    guests.virsh("managedsave-remove", "saved")
    for name in ("runs", "saved", "off"):
        guests.virsh("undefine", name)


def test_what_cannot_be_changed_is_named(bus: PrivateBus, guests: Guests) -> None:
    guests.define_kvm("passing")
    guests.virsh("undefine", "passing")
    guests.virsh("create", str(guests.libvirtd.root / "passing.xml"))
    other = {"pid": 9, "name": "vm", "vmm": "firecracker", "unit": "", "exposed": "unknown"}
    try:
        with scripted_nestd(bus.address, Script(vendor="amd", guests=[other])):
            done = guests.nestctl("guests", "deny", "--all")
            unknown = guests.nestctl("guests", "deny", "nobody")
    finally:
        guests.virsh("destroy", "passing")
    assert done.code == 1
    assert "passing is transient: it has no definition to change" in done.err
    assert "vm (pid 9) is not managed by libvirt: change it where it is started." in done.err
    assert (unknown.code, unknown.err.splitlines()[0]) == (
        2,
        "nestctl: libvirt knows no guest nobody.",
    )


def test_require_with_nesting_off_is_warned_of(bus: PrivateBus, guests: Guests) -> None:
    guests.define_kvm("lab")
    with scripted_nestd(bus.address, Script(vendor="intel", nested="no")):
        done = guests.nestctl("guests", "allow", "lab")
    guests.virsh("undefine", "lab")
    assert done.code == 0
    assert "Nested virtualization is off: libvirt does not start guests that require it" in done.err

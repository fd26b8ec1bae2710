# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl validate and check-guest, on a service with scripted answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from private_bus import PrivateBus
from run_nestctl import nestctl
from scripted_nestd import OWN, Script, scripted_nestd

from nestd.dbus.errors import BusError

FINDINGS = [
    ("cpu", "pass", "The processor has VMX.", ""),
    ("l3", "note", "This host is itself a virtual machine.", ""),
    ("initramfs", "warn", "The initramfs holds kvm_intel.", "Make it anew:\ndracut -f"),
]
BAD = ("device", "fail", "/dev/kvm is missing.", "Load the module:\nmodprobe kvm_intel")


def test_a_fit_host(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(findings=FINDINGS)):
        result = nestctl(bus.address, "validate")
    assert result.code == 0
    assert result.out.splitlines() == [
        "pass  The processor has VMX.",
        "note  This host is itself a virtual machine.",
        "warn  The initramfs holds kvm_intel.",
        "        Make it anew:",
        "        dracut -f",
        "",
        "This host is ready for nested virtualization.",
    ]


def test_one_failed_finding_makes_the_host_unfit(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(findings=[*FINDINGS, BAD])):
        result = nestctl(bus.address, "validate")
        document = json.loads(nestctl(bus.address, "validate", "--json").out)
    assert result.code == 1
    assert result.out.endswith("This host is not ready for nested virtualization.\n")
    assert document["ready"] is False
    assert document["findings"][-1] == dict(zip(("id", "verdict", "summary", "hint"), BAD))


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_a_guest_from_a_file(bus: PrivateBus, tmp_path: Path, ready: bool, code: int) -> None:
    guest = tmp_path / "guest.xml"
    guest.write_text("<domain/>")
    with scripted_nestd(bus.address, Script(ready=ready, findings=[BAD])) as script:
        result = nestctl(bus.address, "check-guest", str(guest))
        document = json.loads(nestctl(bus.address, "check-guest", "--json", str(guest)).out)
    assert result.code == code
    assert script.calls_of("CheckGuest")[0].args == ("<domain/>",)
    assert document["ready"] is ready
    last = "This guest can run" if ready else "This guest cannot run"
    assert result.out.splitlines()[-1].startswith(last)


def test_several_guests_of_a_file_are_one_json_document(bus: PrivateBus, tmp_path: Path) -> None:
    guests = tmp_path / "guests.xml"
    names = ["<name>web1</name>", "<!-- <name>old</name> --><name> a&amp;b </name>", ""]
    guests.write_text("\n".join(f"<domain>{name}</domain>" for name in names))
    with scripted_nestd(bus.address, Script(ready=False, findings=[BAD])):
        result = nestctl(bus.address, "check-guest", "--json", str(guests))
    document = json.loads(result.out)
    assert (result.code, result.err) == (1, "")
    assert [(each["name"], each["ready"]) for each in document["guests"]] == [
        *(("web1", False), ("a&b", False), ("", False))
    ]
    assert document["ready"] is False
    assert document["findings"] == [document["guests"][0]["findings"][0]] * 3


def test_a_guest_by_name_is_looked_up_with_virsh(
    bus: PrivateBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    virsh = tmp_path / "virsh"
    virsh.write_text(
        "#!/bin/sh\n"
        '[ "$*" = "--readonly --connect qemu:///system dumpxml --inactive --domain web1" ] &&'
        " echo '<domain>web1</domain>' && exit\n"
        "echo 'error: failed to get domain' >&2; exit 1\n"
    )
    virsh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with scripted_nestd(bus.address, Script()) as script:
        known = nestctl(bus.address, "check-guest", "web1")
        unknown = nestctl(bus.address, "check-guest", "web2")
    assert known.code == 0
    assert script.calls_of("CheckGuest")[0].args == ("<domain>web1</domain>\n",)
    assert unknown.code == 1
    assert unknown.err.splitlines() == [
        "nestctl: libvirt says: error: failed to get domain",
        "See which guests there are:",
        "  virsh --readonly list --all",
    ]


def test_a_file_that_is_not_there(bus: PrivateBus, tmp_path: Path) -> None:
    with scripted_nestd(bus.address, Script()):
        result = nestctl(bus.address, "check-guest", str(tmp_path / "nosuch.xml"))
    assert result.code == 2
    assert result.err == f"nestctl: There is no file {tmp_path}/nosuch.xml.\n"


def test_what_the_service_does_not_do_is_said_plainly(bus: PrivateBus) -> None:
    refusal = BusError(OWN + "NotSupported", "This version does not do Validate.")
    with scripted_nestd(bus.address, Script(failures={"Validate": refusal})):
        result = nestctl(bus.address, "validate")
    assert (result.code, result.out) == (1, "")
    assert result.err == "nestctl: This version does not do Validate.\n"


def test_control_characters_of_others_never_reach_the_output(bus: PrivateBus) -> None:
    evil = (7, "\x1b[31mweb\x07\u202e1\n", "qemu\r", "")
    with scripted_nestd(bus.address, Script(machines=[evil])):
        listed = nestctl(bus.address, "vms").out
        shown = nestctl(bus.address, "status").out
        document = json.loads(nestctl(bus.address, "vms", "--json").out)
    assert "?[31mweb??1?  7    qemu?  -" in listed
    assert "VMs         1 running: ?[31mweb??1?\n" in shown
    # JSON has its own escapes, and programs get the name unchanged.
    assert document["machines"][0]["name"] == "\x1b[31mweb\x07\u202e1\n"


def test_square_brackets_are_no_markup(bus: PrivateBus) -> None:
    with scripted_nestd(bus.address, Script(machines=[(7, "[red]web[/red] :smile:", "qemu", "")])):
        assert "[red]web[/red] :smile:" in nestctl(bus.address, "vms").out

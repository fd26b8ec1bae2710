# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.CheckGuest on the guests of tests/unit/guests: verdicts, ids and hints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from checked_guests import GUESTS, MINIMAL, expected, report
from follow_hint import follow
from situations import AMD_NESTED, INTEL_NESTED, S390_NESTED, findings, make_situation

from nestd.core.checks.finding import Verdict
from nestd.core.checks.situation import Situation

SWITCHED_OFF = {
    "intel": {INTEL_NESTED: "N\n"},
    "amd": {AMD_NESTED: "0\n"},
    "power": {"/sys/module/kvm_hv/parameters/nested": "N\n"},
    "s390": {S390_NESTED: "0\n"},
    "arm64": {"/proc/cmdline": "quiet\n"},
}


@pytest.mark.parametrize("guest", GUESTS)
def test_guest(guest: str, hosts: Mapping[str, Situation]) -> None:
    words = expected(guest)
    found = report(GUESTS[guest].read_text(), hosts[words.pop("host")])
    words.pop("schema", None)
    assert ("yes" if found.ready else "no") == words.pop("ready"), found.findings
    verdicts = {finding.id: finding.verdict.value for finding in found.findings}
    assert {id_: verdicts.get(id_) for id_ in words} == words
    others = {id_: verdict for id_, verdict in verdicts.items() if id_ not in words}
    assert not {"warn", "fail"} & set(others.values()), others


@pytest.mark.parametrize("guest", GUESTS)
def test_what_the_hints_say_makes_it_ready(guest: str, hosts: Mapping[str, Situation]) -> None:
    host = hosts[expected(guest)["host"]]
    text = GUESTS[guest].read_text()
    for _ in range(5):
        found = report(text, host)
        to_do = [finding for finding in found.findings if finding.verdict is Verdict.FAIL]
        if not to_do:
            break
        text = follow(to_do[0].hint, text)
    assert found.ready, found.findings


@pytest.mark.parametrize(
    "guest",
    [
        "intel-kvm-hidden",
        "intel-hypervisor-disabled",
        "intel-without-ept",
        "amd-without-npt",
        "s390-host-model",
        "s390-no-cpu",
    ],
)
def test_what_the_hints_say_ends_the_warning(guest: str, hosts: Mapping[str, Situation]) -> None:
    host = hosts[expected(guest)["host"]]
    text = GUESTS[guest].read_text()
    [warning] = [each for each in report(text, host).findings if each.verdict is Verdict.WARN]
    after = report(follow(warning.hint, text), host)
    assert after.ready
    assert not [each for each in after.findings if each.verdict is Verdict.WARN]


@pytest.mark.parametrize("guest", GUESTS)
def test_no_guest_is_ready_where_the_host_does_not_nest(guest: str, tmp_path: Path) -> None:
    kind = expected(guest)["host"]
    host = make_situation(tmp_path, kind, SWITCHED_OFF[kind])
    found = report(GUESTS[guest].read_text(), host)
    assert not found.ready
    assert found.findings[0].id == "host"
    how = "add kvm-arm.mode=nested" if kind == "arm64" else "nestctl nested on"
    assert how in found.findings[0].hint


# Scripts and frontends rely on these: removing or renaming one breaks them.
IDS = """
    amd-migration cpu domain-type guest-architecture guest-system host host-virtualization
    huge-pages hypervisor-feature hypervisors kvm-hidden launch-security machine-type nested-guests
    nested-hv nested-paging os-type power-compatibility power-nested-guests power-support power-xive
    qemu-arguments restart
"""


def test_ids_are_stable(hosts: Mapping[str, Situation], tmp_path: Path) -> None:
    given = [(GUESTS[guest].read_text(), hosts[expected(guest)["host"]]) for guest in GUESTS]
    given.append((MINIMAL, make_situation(tmp_path, "intel", virtualization="kvm")))
    found = {each.id for text, host in given for each in report(text, host).findings}
    assert found == set(IDS.split())


def test_there_are_many_guests_of_all_architectures() -> None:
    assert len(GUESTS) >= 40
    kinds = {"intel", "amd", "power", "s390", "arm64"}
    assert {expected(guest)["host"] for guest in GUESTS} == kinds


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("web1", "virsh edit web1,"),
        ("my guest", "virsh edit 'my guest',"),
        ("a;reboot", "virsh edit 'a;reboot',"),
        ("x" * 1000, "virsh edit NAME,"),
        ("a\u202eb", "virsh edit NAME,"),
        ("", "virsh edit NAME,"),
    ],
)
def test_the_command_names_the_guest(name: str, shown: str, hosts: Mapping[str, Situation]) -> None:
    text = f"<domain type='kvm'><name>{name}</name><os><type>hvm</type></os></domain>"
    [cpu] = [each for each in report(text, hosts["intel"]).findings if each.id == "cpu"]
    assert shown in cpu.hint


def test_the_guest_system_is_named_where_the_xml_does(hosts: Mapping[str, Situation]) -> None:
    def said(version: str, host: str) -> str:
        text = GUESTS["intel-host-passthrough"].read_text().replace("/8.6", f"/{version}")
        found = report(text, hosts[host]).findings
        return next(each.summary for each in found if each.id == "guest-system")

    assert said("8.6", "intel").endswith("This one, RHEL 8.6, is among them.")
    assert said("7.8", "intel").endswith("This one, RHEL 7.8, is among them.")
    assert said("7.7", "intel").endswith("This one, RHEL 7.7, is not among them.")
    assert said("8.1", "intel").endswith("This one, RHEL 8.1, is not among them.")
    assert said("6.10", "intel").endswith("This one, RHEL 6.10, is not among them.")
    assert "later than the guide" in said("9.4", "intel")
    assert "This one" not in said("unknown", "intel")
    assert said("7.9", "power").endswith("This one, RHEL 7.9, is not among them.")


def test_a_running_guest_is_told_apart(hosts: Mapping[str, Situation]) -> None:
    def restart(guest: str) -> str:
        found = report(GUESTS[guest].read_text(), hosts["intel"]).findings
        return next(f"{each.summary} {each.hint}" for each in found if each.id == "restart")

    assert "dumpxml --inactive" in restart("intel-running")
    assert "dumpxml" not in restart("intel-host-model")
    assert "shut down and started" in restart("intel-host-model")


def test_a_host_without_kvm(tmp_path: Path) -> None:
    host = make_situation(tmp_path, "arm")
    found = report(MINIMAL, host)
    assert not found.ready
    assert found.findings[0].id == "host"
    assert "aarch64" in found.findings[0].summary


def test_guest_and_host_agree_on_the_host(tmp_path: Path) -> None:
    host = make_situation(tmp_path, "intel", {"/sys/module/kvm_intel": None})
    assert findings(host)["module"].verdict is Verdict.FAIL
    assert report(MINIMAL, host).findings[0].summary == findings(host)["module"].summary

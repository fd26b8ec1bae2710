# SPDX-License-Identifier: LGPL-2.1-or-later
"""Red Hat's guide to nested virtualization (RHEL 8), statement by statement.

Each numbered statement of the guide about nesting is something that nestd does, refuses or says;
the tests are named by the number. Those about logs (21 to 25) are in test_guide_logs.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from private_bus import PrivateBus
from running_nestd import Client, Nestd, on_host
from situations import S390_NESTED, findings, make_situation

from nestd.core.checks.finding import Finding, Verdict
from nestd.core.checks.guest.check_guest import GuestReport, check_guest, read_domain
from nestd.core.checks.situation import Situation
from nestd.dbus.errors import BusError

CONFLICT = "org.nestd1.Error.Conflict"
CLASH = "kvm-s390: A KVM host that supports nesting cannot back its KVM guests with huge pages"
NESTED_HV = "<nested-hv state='on'/>"


def domain(inside: str = "", *, arch: str = "", machine: str = "") -> str:
    attributes = (f" arch='{arch}'" if arch else "") + (f" machine='{machine}'" if machine else "")
    return f"<domain type='kvm'><os><type{attributes}>hvm</type></os>{inside}</domain>"


def judged(host: Situation, inside: str = "", **more: str) -> tuple[bool, dict[str, Finding]]:
    report: GuestReport = check_guest(read_domain(domain(inside, **more)), host)
    return report.ready, {finding.id: finding for finding in report.findings}


def test_guide_row_01_ibm_z_for_now(bus: PrivateBus, tmp_path: Path) -> None:
    """Unload kvm, load it with nested=1; without an entry it lasts only until the next reboot."""

    async def test(client: Client, nestd: Nestd) -> None:
        assert await client.module("kvm", "Nested") == ["no"]
        await client.set_nested("kvm", True, "now")
        assert await client.module("kvm", "Nested", "State") == ["yes", "in-sync"]

    on_host(bus, tmp_path, "s390", test)
    lost = findings(make_situation(tmp_path / "lost", "s390", {S390_NESTED: "1\n"}))["next-load"]
    assert lost.verdict is Verdict.WARN
    assert "only until the next reboot" in lost.summary


def test_guide_row_02_ibm_z_permanently(bus: PrivateBus, tmp_path: Path) -> None:
    """The line `options kvm nested=1` in /etc/modprobe.d/kvm.conf."""

    async def test(client: Client, nestd: Nestd) -> None:
        await client.set_nested("kvm", True, "boot")
        assert nestd.kvm_conf.read_text().endswith("\noptions kvm nested=1\n")
        assert await client.module("kvm", "NestedConfigured", "NestedNext") == ["yes", "yes"]

    on_host(bus, tmp_path, "s390", test)


@pytest.mark.parametrize(
    ("shown", "verdict"), [("Y", "pass"), ("1", "pass"), ("N", "fail"), ("0", "fail")]
)
def test_guide_row_03_power9_reading(shown: str, verdict: str, tmp_path: Path) -> None:
    """Y or 1 is on, N or 0 is off."""
    files = {"/sys/module/kvm_hv/parameters/nested": f"{shown}\n"}
    found = findings(make_situation(tmp_path, "power", files))["nested"]
    assert found.verdict.value == verdict


def test_guide_row_04_power9_for_now(bus: PrivateBus, tmp_path: Path) -> None:
    """kvm_hv accepts a new value while it is loaded."""

    async def test(client: Client, nestd: Nestd) -> None:
        assert await client.set_nested("kvm_hv", False, "now") == "/"
        assert await client.module("kvm_hv", "Nested") == ["no"]
        await client.set_nested("kvm_hv", True, "now")
        assert await client.module("kvm_hv", "Nested") == ["yes"]

    on_host(bus, tmp_path, "power", test)


def test_guide_row_05_power9_permanently(bus: PrivateBus, tmp_path: Path) -> None:
    """`options kvm_hv nested=1` in kvm.conf."""

    async def test(client: Client, nestd: Nestd) -> None:
        await client.set_nested("kvm_hv", True, "boot")
        assert nestd.kvm_conf.read_text().endswith("\noptions kvm_hv nested=1\n")

    on_host(bus, tmp_path, "power", test)


@pytest.mark.parametrize("vendor", ["intel", "amd"])
def test_guide_row_06_intel_and_amd(vendor: str, bus: PrivateBus, tmp_path: Path) -> None:
    """The same with kvm_intel and kvm_amd."""

    async def test(client: Client, nestd: Nestd) -> None:
        module = f"kvm_{vendor}"
        for enabled, answer, value in ((False, "no", 0), (True, "yes", 1)):
            await client.set_nested(module, enabled, "now")
            assert await client.module(module, "Nested", "NestedNext") == [answer, answer]
            assert f"\noptions {module} nested={value}\n" in nestd.kvm_conf.read_text()

    on_host(bus, tmp_path, vendor, test)


def test_guide_row_07_power9_guest(tmp_path: Path) -> None:
    """The capability nested-hv in the L1 guest's XML, and preferably in its guests' XML too."""
    host = make_situation(tmp_path, "power")
    ready, found = judged(host, machine="pseries")
    assert not ready
    assert NESTED_HV in found["nested-hv"].hint
    assert NESTED_HV in found["power-nested-guests"].hint
    assert found["power-nested-guests"].verdict is Verdict.NOTE
    ready, found = judged(host, f"<features>{NESTED_HV}</features>", machine="pseries")
    assert ready


@pytest.mark.parametrize(("vendor", "feature"), [("intel", "vmx"), ("amd", "svm")])
def test_guide_row_08_x86_guest(vendor: str, feature: str, tmp_path: Path) -> None:
    """host-passthrough, or a custom model with the feature required."""
    host = make_situation(tmp_path, vendor)
    require = f"<feature policy='require' name='{feature}'/>"
    assert judged(host, "<cpu mode='host-passthrough'/>")[0]
    assert judged(host, f"<cpu mode='custom'><model>Nehalem</model>{require}</cpu>")[0]
    ready, found = judged(host, "<cpu mode='custom'><model>Nehalem</model></cpu>")
    assert not ready
    assert require in found["cpu"].hint
    ready, found = judged(host)
    assert not ready
    assert "<cpu mode='host-passthrough'/>" in found["cpu"].hint


@pytest.mark.parametrize("vendor", ["intel", "amd", "power", "s390"])
def test_guide_row_09_guests_of_the_guest(vendor: str, tmp_path: Path) -> None:
    """Created inside L1 by the ordinary procedure."""
    _, found = judged(make_situation(tmp_path, vendor))
    assert found["nested-guests"].verdict is Verdict.NOTE
    assert "virt-install" in found["nested-guests"].hint
    assert "RHEL 8 as L1" in found["nested-guests"].hint


def test_guide_row_10_power9_and_power8(tmp_path: Path) -> None:
    """POWER9 is a technology preview; POWER8 works neither as L0 nor as L2's architecture."""
    host = make_situation(tmp_path / "9", "power")
    for found in (findings(host), judged(host)[1]):
        assert "technology preview" in found["power-support"].summary
        assert "POWER8 works neither" in found["power-support"].summary
    cpuinfo = "cpu\t\t: POWER8 (raw), altivec supported\nMMU\t\t: Hash\n"
    power8 = make_situation(tmp_path / "8", "power", {"/proc/cpuinfo": cpuinfo})
    assert findings(power8)["cpu"].verdict is Verdict.FAIL
    ready, on_power8 = judged(power8, f"<features>{NESTED_HV}</features>")
    assert not ready
    assert "POWER8" in on_power8["host"].summary
    assert "POWER8" in judged(host)[1]["power-nested-guests"].summary


@pytest.mark.parametrize("vendor", ["intel", "amd", "power", "s390"])
def test_guide_row_11_technology_preview(vendor: str, tmp_path: Path) -> None:
    found = findings(make_situation(tmp_path, vendor))["support"]
    assert found.verdict is Verdict.NOTE
    assert "technology preview in RHEL 8" in found.summary


def test_guide_row_12_architectures(tmp_path: Path) -> None:
    """Intel, AMD, POWER9 or IBM Z; later than the guide also arm64, and no other."""
    for vendor in ("intel", "amd", "power", "s390"):
        found = findings(make_situation(tmp_path / vendor, vendor))
        assert found["architecture"].verdict is Verdict.PASS
    arm64 = findings(make_situation(tmp_path / "arm", "arm"))["architecture"]
    assert arm64.verdict is Verdict.PASS
    assert "since Linux 6.16" in arm64.summary
    situation = make_situation(tmp_path / "riscv", "arm")
    other = replace(situation, facts=replace(situation.facts, machine="riscv64"))
    refused = findings(other)["architecture"]
    assert refused.verdict is Verdict.FAIL
    assert "Intel, AMD, POWER9 or IBM Z" in refused.hint


@pytest.mark.parametrize(
    ("version", "verdict"), [("8.1", "note"), ("8.2", "pass"), ("8.10", "pass"), ("9.4", "pass")]
)
def test_guide_row_13_operating_systems(version: str, verdict: str, tmp_path: Path) -> None:
    """L0 RHEL 8.2 and later; L1 and L2 as listed."""
    release = f'ID="rhel"\nVERSION_ID="{version}"\n'
    host = make_situation(tmp_path, "intel", {"/etc/os-release": release})
    assert findings(host)["host-system"].verdict.value == verdict
    _, found = judged(host)
    first, second = found["guest-system"].summary, found["nested-guests"].summary
    assert "RHEL 7.8 and later or RHEL 8.2 and later" in first
    for product in ("Red Hat Virtualization", "OpenStack Platform", "OpenShift Virtualization"):
        assert product in first
    assert "RHEL 7.8 and later, RHEL 8.2 and later, Windows Server 2016 and 2019" in second


def test_guide_row_14_operating_systems_on_power9(tmp_path: Path) -> None:
    """RHEL 8 in L1; RHEL 8, or RHEL 7 with the rhel-alt kernel, in L2; no POWER8 compatibility."""
    host = make_situation(tmp_path, "power")
    compatible = "<cpu mode='host-model'><model>power8</model></cpu>"
    ready, found = judged(host, f"<features>{NESTED_HV}</features>{compatible}")
    assert not ready
    assert found["power-compatibility"].verdict is Verdict.FAIL
    assert found["guest-system"].summary.endswith("(L1): RHEL 8.")
    assert "RHEL 7 with the rhel-alt kernel" in found["nested-guests"].summary
    assert "POWER8 compatibility mode" in found["power-nested-guests"].summary


@pytest.mark.parametrize("vendor", ["intel", "amd", "power", "s390"])
def test_guide_row_15_hypervisors(vendor: str, tmp_path: Path) -> None:
    """RHEL's KVM on RHEL's KVM; Windows for WSL 2."""
    host = make_situation(tmp_path, vendor)
    for found in (findings(host), judged(host)[1]):
        assert found["hypervisors"].verdict is Verdict.NOTE
        assert "KVM of RHEL on the host" in found["hypervisors"].summary
        assert "WSL 2" in found["hypervisors"].summary


@pytest.mark.parametrize("kind", ["vmware", "amazon", "microsoft"])
def test_guide_row_16_another_hypervisor_below(kind: str, tmp_path: Path) -> None:
    """L0 is not KVM: it can work, but is unsupported."""
    host = make_situation(tmp_path, "intel", virtualization=kind)
    for found in (findings(host), judged(host)[1]):
        assert found["host-virtualization"].verdict is Verdict.WARN
        assert "not supported" in found["host-virtualization"].summary


@pytest.mark.parametrize("kind", ["kvm", "vmware"])
def test_guide_row_17_third_level(kind: str, tmp_path: Path) -> None:
    """L3 guests are not tested and do not work properly."""
    host = make_situation(tmp_path, "intel", virtualization=kind)
    for found in (findings(host), judged(host)[1]):
        assert found["host-virtualization"].verdict is Verdict.WARN
        assert "(L3) are not tested" in found["host-virtualization"].summary


def test_guide_row_18_amd_migration(tmp_path: Path) -> None:
    """With nested on, an AMD host's machines cannot be migrated."""
    host = make_situation(tmp_path, "amd")
    for found in (findings(host), judged(host)[1]):
        assert "cannot be migrated" in found["amd-migration"].summary
    assert "amd-migration" not in findings(make_situation(tmp_path / "intel", "intel"))


def test_guide_row_19_huge_pages_on_ibm_z(bus: PrivateBus, tmp_path: Path) -> None:
    """nested=1 with hpage=1 is refused beforehand; the kernel's message is reported."""

    async def test(client: Client, nestd: Nestd) -> None:
        await client.set_parameters("kvm", {"hpage": "1"}, "boot")
        with pytest.raises(BusError) as caught:
            await client.set_nested("kvm", True, "now")
        assert caught.value.name == CONFLICT
        assert "cannot back its KVM guests with huge pages" in caught.value.text

    on_host(bus, tmp_path, "s390", test)
    files = {"/etc/modprobe.d/kvm.conf": "options kvm hpage=1 nested=1\n"}
    files[S390_NESTED] = "1\n"
    host = make_situation(tmp_path / "both", "s390", {**files})
    assert findings(host)["huge-pages"].verdict is Verdict.FAIL
    assert CLASH in findings(host)["huge-pages"].summary
    inside = "<memoryBacking><hugepages/></memoryBacking><cpu mode='host-passthrough'/>"
    ready, found = judged(host, inside)
    assert not ready
    assert found["huge-pages"].verdict is Verdict.FAIL


def test_guide_row_20_xive(tmp_path: Path) -> None:
    """The external interrupt virtualization engine is not available to L1."""
    host = make_situation(tmp_path, "power")
    for found in (findings(host), judged(host)[1]):
        assert found["power-xive"].verdict is Verdict.NOTE
        assert "emulated XIVE controller" in found["power-xive"].summary

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Posture on simulated hosts of all kinds."""

from __future__ import annotations

import asyncio
import gzip
import json
import lzma
import re
import runpy
from pathlib import Path

import pytest

from nestd.core.checks.finding import Finding
from nestd.core.guests.guests import Guests
from nestd.core.modules.view import HostView
from nestd.core.posture.known_cves import known_cves
from nestd.core.posture.posture import Posture
from nestd.formats import kernel_advice
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel

CHECKOUT = Path(__file__).resolve().parents[4]
RELEASE = KINDS["intel"].release
VULNERABILITIES = "/sys/devices/system/cpu/vulnerabilities"
Found = dict[str, tuple[str, str]]


def posture(directory: Path, kind: str, files: dict[str, str | bytes | None]) -> Found:
    """Verdict and summary by id, on a fresh simulated host with FILES (None: removed)."""
    root = Root(directory / "root")
    kernel = SimulatedKernel(root, KINDS[kind])
    for path, data in files.items():
        place = root.at(path)
        place.unlink(missing_ok=True)
        if data is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data.encode() if isinstance(data, str) else data)

    async def look() -> tuple[Finding, ...]:
        view = HostView(root, kernel, KMOD, "none")
        return await Posture(view, Guests(view)).findings()

    found = asyncio.run(look())
    by_id = {each.id: (each.verdict.value, each.summary) for each in found}
    assert len(by_id) == len(found), "two findings have the same id"
    for each in found:
        assert each.verdict.value == "pass" or each.hint or each.verdict.value == "note", each
    return by_id


def nested(kind: str, value: str) -> dict[str, str | bytes | None]:
    module = {"intel": "kvm_intel", "amd": "kvm_amd", "power": "kvm_hv", "s390": "kvm"}[kind]
    return {f"/sys/module/{module}/parameters/nested": value}


@pytest.mark.parametrize("kind", ["intel", "amd", "power", "s390"])
@pytest.mark.parametrize(("value", "verdict"), [("1", "note"), ("0", "pass")])
def test_nesting_itself(tmp_path: Path, kind: str, value: str, verdict: str) -> None:
    value = value if kind in ("amd", "s390") else {"1": "Y", "0": "N"}[value]
    found = posture(tmp_path, kind, nested(kind, value))
    assert found["nested"][0] == verdict
    assert found["exposed-guests"][0] == found["using-guests"][0] == "pass"


def test_who_may_not_look_says_nothing_of_all_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nestd.host.kernel.kvm_holders.may_see_all", lambda root: False)
    found = posture(tmp_path, "intel", {})
    for id_ in ("exposed-guests", "using-guests"):
        assert found[id_][0] == "note"
        assert "No running machine" not in found[id_][1]
        assert "not known" in found[id_][1]


def test_nesting_that_is_not_known(tmp_path: Path) -> None:
    found = posture(tmp_path, "intel", {"/sys/module/kvm_intel/parameters/nested": None})
    assert found["nested"] == ("note", "Whether nested virtualization is on is not known.")


@pytest.mark.parametrize(
    ("value", "mode", "verdict"),
    [("Y", 0o666, "warn"), ("N", 0o666, "note"), ("Y", 0o660, "pass"), ("Y", None, "pass")],
)
def test_the_mode_of_the_device(tmp_path: Path, value: str, mode: int | None, verdict: str) -> None:
    root = Root(tmp_path / "root")
    SimulatedKernel(root, KINDS["intel"])
    root.at("/dev/kvm").chmod(mode or 0o666)
    files = nested("intel", value)
    if mode is None:
        files["/dev/kvm"] = None
    assert posture(tmp_path, "intel", files)["device"][0] == verdict


@pytest.mark.parametrize(
    ("name", "text", "verdict"),
    [
        ("vmscape", "Not affected", "pass"),
        ("vmscape", "Vulnerable", "warn"),
        ("vmscape", "Mitigation: IBPB before exit to userspace", "pass"),
        ("l1tf", "Mitigation: PTE Inversion; VMX: vulnerable", "warn"),
        (
            "l1tf",
            "Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT vulnerable",
            "warn",
        ),
        ("l1tf", "Mitigation: PTE Inversion; VMX: cache flushes, SMT disabled", "pass"),
        ("mds", "Mitigation: Clear CPU buffers; SMT vulnerable", "warn"),
        ("mds", "Vulnerable: Clear CPU buffers attempted, no microcode", "warn"),
        ("itlb_multihit", "KVM: Mitigation: Split huge pages", "pass"),
        ("itlb_multihit", "KVM: Vulnerable", "warn"),
        ("spectre_v2", "Unknown: something new", "note"),
        ("spectre_v2", "Mitigation: IBRS; PBRSB-eIBRS: Not affected; BHI: Vulnerable", "warn"),
        ("tsa", "Vulnerable: No microcode", "warn"),
        ("old_microcode", "Vulnerable", "warn"),
        ("old_microcode", "Unknown (running under hypervisor)", "note"),
    ],
)
def test_the_kernels_sentences(tmp_path: Path, name: str, text: str, verdict: str) -> None:
    found = posture(tmp_path, "intel", {f"{VULNERABILITIES}/{name}": text + "\n"})
    assert found[f"cpu-{name.replace('_', '-')}"][0] == verdict
    assert text in found[f"cpu-{name.replace('_', '-')}"][1]


def test_no_vulnerabilities_directory_is_not_none(tmp_path: Path) -> None:
    found = posture(tmp_path, "power", {})
    assert found["cpu-vulnerabilities"][0] == "note"
    assert "not known" in found["cpu-vulnerabilities"][1]


@pytest.mark.parametrize(
    ("value", "text", "verdict"),
    [
        ("Y", "KVM: Mitigation: Split huge pages", "pass"),
        ("auto", "KVM: Mitigation: Split huge pages", "pass"),
        ("never", "KVM: Vulnerable", "warn"),
        ("N", "KVM: Vulnerable", "warn"),
        ("N", "Not affected", "pass"),
    ],
)
def test_nx_huge_pages(tmp_path: Path, value: str, text: str, verdict: str) -> None:
    files: dict[str, str | bytes | None] = {
        "/sys/module/kvm/parameters/nx_huge_pages": value,
        f"{VULNERABILITIES}/itlb_multihit": text,
    }
    assert posture(tmp_path, "intel", files)["nx-huge-pages"][0] == verdict


@pytest.mark.parametrize(
    ("avic", "value", "verdict"),
    [("Y", "1", "warn"), ("1", "1", "warn"), ("N", "1", "pass"), ("Y", "0", "pass")],
)
def test_avic_beside_nesting(tmp_path: Path, avic: str, value: str, verdict: str) -> None:
    files = {**nested("amd", value), "/sys/module/kvm_amd/parameters/avic": avic}
    assert posture(tmp_path, "amd", files)["avic"][0] == verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("ro quiet", "pass"),
        ("ro mitigations=off", "warn"),
        ("mitigations=off mitigations=auto", "pass"),
        ("mitigations=auto,nosmt", "pass"),
    ],
)
def test_mitigations_on_the_command_line(tmp_path: Path, text: str, verdict: str) -> None:
    assert posture(tmp_path, "intel", {"/proc/cmdline": text})["mitigations"][0] == verdict


class TestCves:
    """ "Fixed" is derived only from the distribution's own data."""

    CHANGELOG = """\
linux ({newer}) bookworm; urgency=high

  * KVM: x86: a later fix (CVE-2026-46113)

 -- A <a@b>  Mon, 01 Jan 2026 00:00:00 +0000

linux-signed-amd64 (6.1.176+1) bookworm; urgency=high

  * Sign kernel from linux 6.1.176-1
    - KVM: x86/mmu: a fix (CVE-2026-53359)

 -- A <a@b>  Mon, 01 Jan 2026 00:00:00 +0000
"""

    def debian(self, changelog: str) -> dict[str, str | bytes | None]:
        path = f"/usr/share/doc/linux-image-{RELEASE}/changelog.gz"
        version = "Linux version 6.1.0-50-amd64 (a@b) #1 SMP Debian 6.1.176-1 (2026-01-01)"
        return {path: gzip.compress(changelog.encode()), "/proc/version": version}

    def test_without_data_nothing_is_known(self, tmp_path: Path) -> None:
        found = posture(tmp_path, "intel", {})
        assert found["cve-2026-53359"][0] == "note"
        assert "not known" in found["cve-2026-53359"][1]
        assert known_cves().date in found["cve-data"][1]

    def test_the_changelog_of_the_running_kernels_package(self, tmp_path: Path) -> None:
        """Later entries of the package's changelog do not apply to the running kernel."""
        found = posture(tmp_path, "intel", self.debian(self.CHANGELOG.format(newer="6.1.180-1")))
        assert found["cve-2026-53359"][0] == "pass"
        assert f"/usr/share/doc/linux-image-{RELEASE}/changelog.gz" in found["cve-2026-53359"][1]
        assert found["cve-2026-46113"][0] == "note"

    @pytest.mark.parametrize(("fixed", "verdict"), [("74516", "pass"), ("53359", "warn")])
    def test_avic_beside_nesting_is_no_risk_where_its_fault_is_fixed(
        self, tmp_path: Path, fixed: str, verdict: str
    ) -> None:
        changelog = self.CHANGELOG.replace("53359", fixed).format(newer="6.1.180-1")
        files = {**self.debian(changelog), **nested("amd", "1")}
        files["/sys/module/kvm_amd/parameters/avic"] = "Y"
        found = posture(tmp_path, "amd", files)
        assert found["avic"][0] == verdict
        assert ("changelog" in found["avic"][1]) == (verdict == "pass")

    def test_a_changelog_of_another_version(self, tmp_path: Path) -> None:
        text = self.CHANGELOG.replace("6.1.176+1", "6.1.175+1").format(newer="6.1.180-1")
        found = posture(tmp_path, "intel", self.debian(text))
        assert found["cve-2026-53359"][0] == "note"

    def test_updateinfo_in_dnfs_cache(self, tmp_path: Path) -> None:
        version, release = RELEASE.rsplit(".", 1)[0].split("-", 1)
        update = (
            "<updates><update><id>RHSA-2026:1</id><references><reference id='CVE-2026-53359'"
            " title='CVE-2026-53359' type='cve'/></references><pkglist><collection>"
            f"<package name='kernel-core' version='{version}' release='{release}' arch='x86_64'/>"
            "</collection></pkglist></update><update><references><reference"
            " id='CVE-2026-46113'/></references><pkglist><collection><package name='kernel-core'"
            " version='5.14.0' release='999.el9' arch='x86_64'/></collection></pkglist></update>"
            "</updates>"
        )
        path = "/var/cache/dnf/baseos-1/repodata/1-updateinfo.xml.xz"
        found = posture(tmp_path, "intel", {path: lzma.compress(update.encode())})
        assert found["cve-2026-53359"][0] == "pass"
        assert found["cve-2026-46113"][0] == "note"

    def test_a_damaged_cache_is_no_answer(self, tmp_path: Path) -> None:
        path = "/var/cache/dnf/baseos-1/repodata/1-updateinfo.xml.gz"
        found = posture(tmp_path, "intel", {path: b"not packed"})
        assert found["cve-2026-53359"][0] == "note"

    def test_those_of_another_kind_of_host_are_left_out(self, tmp_path: Path) -> None:
        assert "cve-2026-46317" not in posture(tmp_path, "intel", {})
        assert "cve-2026-64562" not in posture(tmp_path / "amd", "amd", {})
        found = {
            kind: {id_ for id_ in posture(tmp_path / kind, kind, {}) if id_.startswith("cve-2")}
            for kind in ("power", "s390")
        }
        assert found == {"power": set(), "s390": {"cve-2026-98653"}}

    def test_ubuntu_and_rpm(self) -> None:
        assert kernel_advice.running_version("Ubuntu 6.8.0-45.45-generic 6.8.12") == "6.8.0-45.45"
        text = "* Mon Jan 1 2026\n- KVM: x86: fix (A B) [RHEL-1] {CVE-2026-53359}\n"
        assert kernel_advice.named_in_rpm_changelog(text) == {"CVE-2026-53359"}

    def test_the_file(self) -> None:
        data = known_cves()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", data.date)
        assert len({each.id for each in data.cves}) == len(data.cves) >= 14
        for each in data.cves:
            assert each.source == f"https://www.cve.org/CVERecord?id={each.id}"
            assert each.about != "a fault of nested virtualization in KVM", "says nothing"
            assert set(each.places) <= {"intel", "amd", "power", "s390", "arm64"}
            assert each.places

    def test_the_script_that_refreshes_it(self) -> None:
        script = runpy.run_path(str(CHECKOUT / "packaging/cves/refresh.py"))

        def record(
            number: str, title: str, file: str = "", text: str = "", state: str = "PUBLISHED"
        ) -> dict[str, object]:
            about = {
                "title": title,
                "descriptions": [{"lang": "en", "value": text}],
                "affected": [{"programFiles": [file] if file else []}],
            }
            return {"cveMetadata": {"cveId": number, "state": state}, "containers": {"cna": about}}

        records = [
            record("CVE-2027-1", "KVM: nVMX: a fault"),
            record("CVE-2027-2", "KVM: arm64: a nested fault"),
            record("CVE-2027-3", "net: nothing of ours"),
            record(
                "CVE-2027-4", "KVM: x86: a fault", "arch/x86/kvm/hyperv.c", "only if an L2 runs"
            ),
            record("CVE-2027-5", "KVM: SVM: a fault", "arch/x86/kvm/svm/nested.c"),
            record("CVE-2027-6", "KVM: s390: Fix _gaccess_shadow_fault()"),
            record("CVE-2027-7", "KVM: x86: of no guest's guests", "arch/x86/kvm/x86.c"),
            record("CVE-2026-46059", "KVM: nSVM: a fault", state="REJECTED"),
        ]
        old = (CHECKOUT / "nestd/core/posture/known_cves.json").read_text()
        new = json.loads(script["refreshed"](old, records, "2027-01-01"))
        added = {each["id"]: each["on"] for each in new["cves"] if "CVE-2027" in each["id"]}
        assert added == {
            "CVE-2027-1": ["intel"],
            "CVE-2027-2": ["arm64"],
            "CVE-2027-4": ["intel", "amd"],
            "CVE-2027-5": ["amd"],
            "CVE-2027-6": ["s390"],
        }
        assert new["date"] == "2027-01-01"
        assert "CVE-2026-46059" not in {each["id"] for each in new["cves"]}
        assert len(new["cves"]) == len(json.loads(old)["cves"]) + len(added) - 1
        unchanged = script["refreshed"](old, [], json.loads(old)["date"])
        assert unchanged == old

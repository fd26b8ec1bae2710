# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.CheckGuest: the guests of guests/ on a host that nests, hostile XML, and fuzzed XML.

The first line of each file in guests/ says which host it is for and what is found: whether it is
ready, and the verdicts of findings. Every warning and failure is named there. "schema: no" marks
what libvirt's schema does not allow, "schema: later" what that of libvirt 9.0 does not have yet.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from follow_hint import follow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from situations import (
    AMD_NESTED,
    INTEL_NESTED,
    S390_NESTED,
    findings,
    make_situation,
)

from nestd.core.checks.finding import Verdict
from nestd.core.checks.guest.check_guest import GuestReport, check_guest, read_domain
from nestd.core.checks.situation import Situation
from nestd.core.errors import InvalidArgument
from nestd.formats.libvirt_xml.documents import split_domains
from nestd.formats.libvirt_xml.domain_xml import MOST_ELEMENTS
from nestd.formats.libvirt_xml.safe_xml import MOST_BYTES, MOST_DEPTH

GUESTS = {path.stem: path for path in sorted((Path(__file__).parents[2] / "guests").glob("*.xml"))}
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
SWITCHED_ON = {
    "s390": {S390_NESTED: "1\n"},
    "arm64": {"/proc/cmdline": "kvm-arm.mode=nested\n"},
}
SWITCHED_OFF = {
    "intel": {INTEL_NESTED: "N\n"},
    "amd": {AMD_NESTED: "0\n"},
    "power": {"/sys/module/kvm_hv/parameters/nested": "N\n"},
    "s390": {S390_NESTED: "0\n"},
    "arm64": {"/proc/cmdline": "quiet\n"},
}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Situation]:
    """A host of each kind on which nested virtualization is on."""
    return {
        kind: make_situation(tmp_path_factory.mktemp(kind), kind, SWITCHED_ON.get(kind))
        for kind in ("intel", "amd", "power", "s390", "arm64")
    }


def expected(guest: str) -> dict[str, str]:
    """The words of the file's first line."""
    first = GUESTS[guest].read_text().splitlines()[0]
    found = re.fullmatch(r"<!-- (.*) -->", first)
    assert found, first
    return dict(word.split(": ") for word in found.group(1).split("; "))


def report(text: str, host: Situation) -> GuestReport:
    found = check_guest(read_domain(text), host)
    ids = [finding.id for finding in found.findings]
    assert len(ids) == len(set(ids))
    for finding in found.findings:
        assert finding.summary.endswith("."), finding
        assert finding.summary.isprintable(), finding
        assert finding.hint or finding.verdict in (Verdict.PASS, Verdict.NOTE), finding
    return found


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


# Scripts and frontends know these: one that goes or gets another name breaks them.
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


@pytest.mark.libvirt
@pytest.mark.needs("xmllint")
@pytest.mark.parametrize(
    "guest", [guest for guest in GUESTS if expected(guest).get("schema") != "later"]
)
def test_the_guests_are_what_libvirt_means(guest: str) -> None:
    command = ["xmllint", "--noout", "--relaxng", str(SCHEMA), str(GUESTS[guest])]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert (done.returncode == 0) == ("schema" not in expected(guest)), done.stderr


MINIMAL = "<domain type='kvm'><os><type>hvm</type></os><cpu mode='host-passthrough'/></domain>"

# What is given, and words of the refusal.
HOSTILE = {
    "nothing": ("", "empty"),
    "no XML": ("hello", "not well-formed"),
    "JSON": ('{"domain": "kvm"}', "This is JSON"),
    "half of it": (MINIMAL[: len(MINIMAL) // 2], "not well-formed"),
    "two of it": (MINIMAL * 2, "the XML of 2 guests: check each by itself"),
    "another root": ("<network><name>default</name></network>", "<network>"),
    "what libvirt keeps of a running guest": (
        f"<domstatus state='running'>{MINIMAL}</domstatus>",
        "<domstatus>",
    ),
    "a root that looks like it": (MINIMAL.replace("<domain", "<domain xmlns='urn:x'"), "namespace"),
    "an entity bomb": (
        "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'>"
        + "".join(f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>" for i in range(9))
        + "]><domain type='kvm'><name>&j;</name></domain>",
        "document type definition",
    ),
    "a quadratic bomb": (
        f"<!DOCTYPE d [<!ENTITY a '{'a' * 50000}'>]><domain>{'&a;' * 10000}</domain>",
        "document type definition",
    ),
    "an entity that is a file": (
        "<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain><name>&a;</name></domain>",
        "document type definition",
    ),
    "a foreign DTD": ("<!DOCTYPE domain SYSTEM 'http://127.0.0.1/d.dtd'>" + MINIMAL, "definition"),
    "an empty DTD": ("<!DOCTYPE domain>" + MINIMAL, "definition"),
    "an unknown entity": ("<domain>&nbsp;</domain>", "undefined entity"),
    "10 MB": (f"<domain><name>{'x' * (10 << 20)}</name></domain>", str(MOST_BYTES)),
    "many elements": ("<domain>" + "<a/>" * 100_000 + "</domain>", str(MOST_ELEMENTS)),
    "deep nesting": ("<domain>" + "<a>" * 100_000, f"more than {MOST_DEPTH} deep"),
    "a NUL": ("<domain>\0</domain>", "not well-formed"),
    "half a character": ("<domain>\ud800</domain>", "not Unicode"),
    "a control character": ("<domain>\x1b[2J</domain>", "not well-formed"),
    "an odd root": ("<" + "\u202e" * 100 + "/>", "well-formed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_is_refused(name: str) -> None:
    text, words = HOSTILE[name]
    started = time.process_time()
    with pytest.raises(InvalidArgument) as caught:
        read_domain(text)
    assert time.process_time() - started < 2
    message = str(caught.value)
    assert words in message
    assert message.endswith("virsh dumpxml prints it.")
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize(
    "text",
    [
        f"<?xml version='1.0' encoding='UTF-16'?>{MINIMAL}",
        f"<?xml version='1.0' encoding='no-such-encoding'?>\n{MINIMAL}",
        f"\ufeff{MINIMAL}",
        f"<!-- made by virsh edit -->\n<?target data?>{MINIMAL}",
        MINIMAL.replace("<os>", "<title>Gäst \U0001f600</title><os>"),
    ],
)
def test_odd_xml_is_read(text: str, hosts: Mapping[str, Situation]) -> None:
    assert report(text, hosts["amd"]).ready


def test_a_chain_of_200_images_is_read(hosts: Mapping[str, Situation]) -> None:
    chain = "<backingStore>" * 200 + "</backingStore>" * 200
    text = MINIMAL.replace("<cpu", f"<devices><disk>{chain}</disk></devices><cpu")
    assert report(text, hosts["amd"]).ready


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


TEXTS = [path.read_text() for path in GUESTS.values()]
VALUES = st.sampled_from(
    [
        "",
        "on",
        "off",
        "kvm",
        "qemu",
        "custom",
        "host-model",
        "host-passthrough",
        "require",
        "disable",
        "forbid",
        "optional",
        "vmx",
        "svm",
        "npt",
        "sief2",
        "POWER8",
        "power9",
        "EPYC",
        "x86_64",
        "ppc64le",
        "s390x",
        "pseries",
        "\u202e\n",
        "'",
        "&amp;",
        "x" * 2000,
    ]
) | st.text(max_size=12).map(escape)
# Well-formed, most of the time: else nothing but the parser is tried.
KINDS_OF_ACCIDENT = (*["value"] * 6, *["element"] * 6, "cut", "double", "noise")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A guest's XML after some accidents: other values, pieces gone, doubled, moved, or noise."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(KINDS_OF_ACCIDENT))
        if kind == "value":
            values = list(re.finditer(r"='([^']*)'|>([^<>]+)<", text))
            if values:
                found = draw(st.sampled_from(values))
                group = 1 if found.group(1) is not None else 2
                text = text[: found.start(group)] + draw(VALUES) + text[found.end(group) :]
        elif kind == "element":
            elements = list(re.finditer(r"<(\w[\w:-]*)[^<>]*/>", text))
            if elements:
                found = draw(st.sampled_from(elements))
                times = draw(st.integers(0, 3))
                text = text[: found.start()] + found.group() * times + text[found.end() :]
        else:
            start = draw(st.integers(0, len(text)))
            end = min(len(text), start + draw(st.integers(0, 40)))
            new = {"cut": "", "double": text[start:end] * 2, "noise": draw(st.text(max_size=9))}
            text = text[:start] + new[kind] + text[end:]
    return text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=mutated(), kind=st.sampled_from(("intel", "amd", "power", "s390")))
def test_fuzzed_xml_is_judged_or_refused(
    text: str, kind: str, hosts: Mapping[str, Situation]
) -> None:
    try:
        found = report(text, hosts[kind])
    except InvalidArgument as error:
        message = str(error)
    else:
        message = "".join(f"{each.summary}{each.hint}" for each in found.findings)
        assert found.ready == all(each.verdict is not Verdict.FAIL for each in found.findings)
    assert message.replace("\n", "").isprintable()


class TestWhatDecides:
    """What libvirt and QEMU do with the XML decides, not what it looks like."""

    CPU = "<cpu mode='host-passthrough'/>"
    ARGUMENTS = "<q:commandline>{}</q:commandline>"

    def guest(self, cpu: str, *arguments: str) -> str:
        args = "".join(f"<q:arg value='{each}'/>" for each in arguments)
        return (
            "<domain type='kvm' xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name>"
            f"<os><type>hvm</type></os>{cpu}<q:commandline>{args}</q:commandline></domain>"
        )

    def cpu(self, text: str, host: Situation) -> tuple[str, str, str]:
        found = next(each for each in report(text, host).findings if each.id == "cpu")
        return found.verdict.value, found.summary, found.hint

    @pytest.mark.parametrize(
        ("arguments", "verdict"),
        [
            (["-cpu", "host"], "pass"),
            (["-cpu", "host,-vmx"], "fail"),
            (["-cpu", "Penryn,+vmx"], "pass"),
            (["--cpu", "Penryn,vendor=GenuineIntel"], "fail"),
            (["-cpu", "Penryn", "-smbios", "type=2", "-cpu", "max"], "pass"),
            (["-cpu", "host", "-cpu", "Penryn"], "fail"),
            (["-smbios", "type=2", "-cpu"], "fail"),
            (["-cpu", ""], "fail"),
            (["-smbios", "type=2"], "pass"),
        ],
    )
    def test_the_last_cpu_argument(
        self, arguments: list[str], verdict: str, hosts: Mapping[str, Situation]
    ) -> None:
        found, summary, hint = self.cpu(self.guest(self.CPU, *arguments), hosts["intel"])
        assert found == verdict
        if verdict == "fail":
            assert "<qemu:commandline>" in summary
            assert "vmx=on" in hint

    @pytest.mark.parametrize(
        ("cpu", "kind", "verdict"),
        [
            ("<model>EPYC</model><vendor>AMD</vendor>", "intel", "fail"),
            ("<model>Penryn</model><vendor>Intel</vendor>", "amd", "fail"),
            (
                "<model>EPYC</model><vendor>AMD</vendor><feature policy='require' name='svm'/>",
                "amd",
                "pass",
            ),
            ("<vendor>Intel</vendor><model>Penryn</model>", "amd", "fail"),
        ],
    )
    def test_the_vendor(
        self, cpu: str, kind: str, verdict: str, hosts: Mapping[str, Situation]
    ) -> None:
        text = self.guest(f"<cpu mode='custom' match='exact'>{cpu}</cpu>")
        found, summary, hint = self.cpu(text, hosts[kind])
        assert found == verdict, summary
        assert verdict == "pass" or "host-passthrough" in hint

    @pytest.mark.parametrize("mode", ["", " mode='custom'", " match='exact'"])
    def test_features_without_a_model(self, mode: str, hosts: Mapping[str, Situation]) -> None:
        text = self.guest(f"<cpu{mode}><feature policy='optional' name='vmx'/></cpu>")
        found, summary, _ = self.cpu(text, hosts["intel"])
        assert (found, "without a processor model" in summary) == ("fail", True)
        assert (
            self.cpu(
                self.guest("<cpu mode='host-model'><feature name='vmx'/></cpu>"), hosts["intel"]
            )[0]
            == "pass"
        )

    def test_what_replaces_a_processor_keeps_all_else(self, hosts: Mapping[str, Situation]) -> None:
        topology = "<topology sockets='1' cores='8' threads='2' />"
        numa = "<numa><cell id='0' cpus='0-7' memory='1' unit='GiB' /></numa>"
        text = self.guest(
            f"<cpu mode='custom'><model>core2duo</model>{topology}{numa}"
            "<feature policy='require' name='vmx'/><feature policy='disable' name='x2apic'/></cpu>"
        )
        _, _, hint = self.cpu(text, hosts["amd"])
        assert "mode='host-passthrough'" in hint
        assert topology.replace("'", '"') in hint
        assert numa.replace("'", '"') in hint
        assert "<feature policy='disable' name='x2apic'/>" in hint
        assert "vmx" not in hint

    @pytest.mark.parametrize("quote", ["'", '"'])
    def test_the_tag_keeps_its_namespaces(self, quote: str, hosts: Mapping[str, Situation]) -> None:
        space = "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'".replace("'", quote)
        text = f"<!-- <domain> --><domain  type={quote}qemu{quote}\n {space} id={quote}3{quote}>"
        text += "<name>a</name><os><type>hvm</type></os></domain>"
        found = next(
            each for each in report(text, hosts["intel"]).findings if each.id == "domain-type"
        )
        assert found.hint.endswith(f"<domain type='kvm'\n {space}>") or found.hint.endswith(
            f"<domain type='kvm' {space}>"
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("apiVersion: kubevirt.io/v1\nkind: VirtualMachine\n", "KubeVirt"),
            ("# a comment\napiVersion: kubevirt.io/v1alpha3\nkind: VMI\n", "virsh dumpxml"),
            ("boot: order=scsi0\ncores: 2\nscsi0: local:vm-100\n", "Proxmox"),
            ('#!/usr/bin/quickemu --vm\nguest_os="linux"\ndisk_img="a"\n', "quickemu"),
            ('.encoding = "UTF-8"\nvirtualHW.version = "19"\n', "VMware"),
            ("# -*- mode: ruby -*-\nVagrant.configure('2') do |c|\nend\n", "Vagrantfile"),
            ("/usr/bin/qemu-system-x86_64 -cpu host\n", "command line of QEMU"),
            (" \n\t", "empty"),
        ],
    )
    def test_other_formats_are_called_what_they_are(self, text: str, words: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            read_domain(text)
        assert words in str(caught.value)
        assert "well-formed" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (MINIMAL, 1),
        (f"{MINIMAL}\n{MINIMAL}\n", 2),
        (f"<?xml version='1.0'?>\n{MINIMAL}\n<!-- second -->\n{MINIMAL}", 2),
        (f"<!-- {MINIMAL} -->{MINIMAL}", 1),
        (f"<list>{MINIMAL}{MINIMAL}</list>", 1),
        (f"text {MINIMAL}{MINIMAL}", 1),
        ("", 1),
    ],
)
def test_documents_one_after_another(text: str, parts: int) -> None:
    found = split_domains(text)
    assert len(found) == parts
    if parts > 1:
        assert all(read_domain(each).type == "kvm" for each in found)


CASES = Path(__file__).resolve().parents[3] / "cases"
# Cases of guests, and whether libvirt takes the XML as it is.
OF_GUESTS = {"30": True, "32": False, "35": True, "36": True, "39": True, "55": True, "96": True}


def define(text: str, directory: Path) -> tuple[int, str]:
    """What `virsh define --validate` says, with libvirt's test driver: domains of the type test."""
    file = directory / "guest.xml"
    file.write_text(re.sub(r"type=(['\"])(?:kvm|qemu)\1", "type='test'", text))
    virsh = ["virsh", "-c", "test:///default", "define", "--validate", str(file)]
    done = subprocess.run(virsh, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.libvirt
@pytest.mark.needs("virsh")
@pytest.mark.parametrize("number", OF_GUESTS)
def test_virsh_takes_what_the_hints_lead_to(number: str, tmp_path: Path) -> None:
    [case] = CASES.glob(f"{number}-*")
    text = (case / "guest.xml").read_text()
    host = make_situation(tmp_path, (case / "kind").read_text().strip())
    code, words = define(text, tmp_path)
    assert (code == 0) == OF_GUESTS[number], words
    found = report(text, host)
    assert found.ready == (number == "35")
    for finding in found.findings:
        if finding.verdict is Verdict.FAIL:
            text = follow(finding.hint, text)
    assert report(text, host).ready
    code, words = define(text, tmp_path)
    assert code == 0, words

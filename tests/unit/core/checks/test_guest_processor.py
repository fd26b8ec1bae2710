# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Manager.CheckGuest reads in a guest's XML: QEMU arguments, vendor, features, format."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from checked_guests import report

from nestd.core.checks.guest.check_guest import read_domain
from nestd.core.checks.situation import Situation
from nestd.core.errors import InvalidArgument


class TestWhatDecides:
    """The verdict depends on what libvirt and QEMU do with the XML."""

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

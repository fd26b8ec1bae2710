# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nesting in a domain's XML: an edit changes the line that decides, and no other byte."""

from __future__ import annotations

import difflib

import pytest

from nestd.formats.libvirt_xml.comparison import equivalent
from nestd.formats.libvirt_xml.domain_xml import parse
from nestd.formats.libvirt_xml.nesting_edit import (
    NotChangeable,
    NotConcerned,
    changed,
    requires,
)

# It is surrounded by text that only looks like the place to edit.
WHOLE = """\
<domain type='kvm'>
  <name>a</name>
  <metadata><x:cpu xmlns:x='u'><x:feature name='svm'/></x:cpu></metadata>
  <!-- <cpu><feature policy='require' name='svm'/></cpu> -->
  <os>
    <type arch='ARCH'>hvm</type>
  </os>
INSIDE
  <clock offset='utc'/>
  <description>&lt;cpu&gt; \u00e4</description>
</domain>
"""


def domain(inside: str, arch: str = "x86_64") -> str:
    return WHOLE.replace("INSIDE", inside).replace("ARCH", arch)


def lines(before: str, after: str) -> list[str]:
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in found if line[:3] not in ("---", "+++", "@@ ")]


FEATURE = "  <cpu mode='custom'>\n    <model>EPYC</model>\n{}  </cpu>"


@pytest.mark.parametrize(
    ("line", "give", "wanted"),
    [
        ("", False, ["+    <feature policy='disable' name='svm'/>"]),
        ("", True, ["+    <feature policy='require' name='svm'/>"]),
        (
            "    <feature policy='require' name='svm'/>\n",
            False,
            [
                "-    <feature policy='require' name='svm'/>",
                "+    <feature policy='disable' name='svm'/>",
            ],
        ),
        (
            '    <feature name="svm"></feature>\n',
            False,
            [
                '-    <feature name="svm"></feature>',
                "+    <feature policy='disable' name=\"svm\"></feature>",
            ],
        ),
        (
            '    <feature  policy = "forbid" name="svm" />\n',
            True,
            [
                '-    <feature  policy = "forbid" name="svm" />',
                "+    <feature  policy = 'require' name=\"svm\" />",
            ],
        ),
        (
            "    <feature policy='require' name='npt'/>\n    <numa/>\n",
            False,
            ["+    <feature policy='disable' name='svm'/>"],
        ),
        ("    <feature policy='forbid' name='svm'/>\n", False, []),
        ("    <feature policy='optional' name='svm'/>\n", True, []),
    ],
)
def test_a_feature_of_a_model(line: str, give: bool, wanted: list[str]) -> None:
    before = domain(FEATURE.format(line))
    after = changed(before, "svm", give=give)
    assert lines(before, after) == wanted
    assert changed(after, "svm", give=give) == after
    assert equivalent(before, after) == (not wanted)


@pytest.mark.parametrize("mode", ["host-passthrough", "maximum"])
def test_a_whole_processor_has_it_unless_it_is_withheld(mode: str) -> None:
    before = domain(f"  <cpu mode='{mode}' migratable='on'/>")
    denied = changed(before, "vmx", give=False)
    assert lines(before, denied) == [
        f"-  <cpu mode='{mode}' migratable='on'/>",
        f"+  <cpu mode='{mode}' migratable='on'>",
        "+    <feature policy='disable' name='vmx'/>",
        "+  </cpu>",
    ]
    assert changed(before, "vmx", give=True) == before
    assert equivalent(changed(denied, "vmx", give=True), before)


@pytest.mark.parametrize(("feature", "given"), [("vmx", False), ("sief2", False), ("svm", True)])
def test_host_model_has_vmx_and_sie_by_itself_and_not_svm(feature: str, given: bool) -> None:
    arch = "s390x" if feature == "sief2" else "x86_64"
    before = domain("  <cpu mode='host-model' check='partial'/>", arch)
    assert (changed(before, feature, give=True) != before) == given
    assert "policy='disable'" in changed(before, feature, give=False)


@pytest.mark.parametrize(
    ("inside", "give", "wanted"),
    [
        ("", False, []),
        ("", True, ["+  <features>", "+    <nested-hv state='on'/>", "+  </features>"]),
        (
            "  <features>\n    <acpi/>\n  </features>",
            True,
            ["+    <nested-hv state='on'/>"],
        ),
        (
            "  <features>\n    <nested-hv state='on'/>\n  </features>",
            False,
            ["-    <nested-hv state='on'/>", "+    <nested-hv state='off'/>"],
        ),
    ],
)
def test_the_capability_of_power(inside: str, give: bool, wanted: list[str]) -> None:
    before = domain(inside, "ppc64le")
    assert lines(before, changed(before, "nested-hv", give=give)) == wanted


@pytest.mark.parametrize(
    ("inside", "arch", "words", "concerned"),
    [
        ("", "x86_64", "has no <cpu>", True),
        ("  <cpu><topology sockets='1'/></cpu>", "x86_64", "names no processor model", True),
        (
            FEATURE.format("<feature name='svm'/><feature policy='disable' name='svm'/>"),
            *("x86_64", "more than once", True),
        ),
        ("  <cpu mode='host-passthrough'/>", "aarch64", "another architecture", False),
    ],
)
def test_what_cannot_be_said(inside: str, arch: str, words: str, concerned: bool) -> None:
    with pytest.raises(NotChangeable, match=words) as raised:
        changed(domain(inside, arch), "svm", give=False)
    assert isinstance(raised.value, NotConcerned) == (not concerned)


def test_an_emulated_guest_is_not_concerned_and_a_cpu_argument_decides() -> None:
    text = domain("  <cpu mode='host-passthrough'/>")
    with pytest.raises(NotConcerned, match="emulated"):
        changed(text.replace("'kvm'", "'qemu'"), "svm", give=False)
    space = " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
    arguments = "<qemu:commandline><qemu:arg value='-cpu'/><qemu:arg value='host'/>"
    text = text.replace("'kvm'>", f"'kvm'{space}")
    text = text.replace("</domain>", f"{arguments}</qemu:commandline></domain>")
    with pytest.raises(NotChangeable, match="which decides"):
        changed(text, "svm", give=False)


def test_who_requires_it() -> None:
    line = "<feature policy='{}' name='svm'/>"
    found = [
        requires(parse(domain(FEATURE.format(line.format(policy)))), "svm")
        for policy in ("require", "force", "optional", "disable")
    ]
    assert found == [True, False, False, False]
    assert requires(parse(domain("<features><nested-hv state='on'/></features>")), "nested-hv")
    assert not requires(parse(domain("")), "svm")

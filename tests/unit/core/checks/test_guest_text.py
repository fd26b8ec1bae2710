# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text that Manager.CheckGuest gets: hostile XML, unusual XML, and several documents."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from checked_guests import MINIMAL, report

from nestd.core.checks.guest.check_guest import read_domain
from nestd.core.checks.situation import Situation
from nestd.core.errors import InvalidArgument
from nestd.formats.libvirt_xml.documents import split_domains
from nestd.formats.libvirt_xml.domain_xml import MOST_ELEMENTS
from nestd.formats.libvirt_xml.safe_xml import MOST_BYTES, MOST_DEPTH

# The text, and words of the error.
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

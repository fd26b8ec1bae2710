# SPDX-License-Identifier: LGPL-2.1-or-later
"""Any user may have a text checked, so reading takes time linear in its length.

Python's regular expressions hold the interpreter lock while they search: one that scans from each
position to the end of the text would block the whole service.
"""

from __future__ import annotations

import time
from itertools import product

import pytest

from nestd.core.checks.guest.check_guest import read_domain
from nestd.core.errors import InvalidArgument
from nestd.formats.libvirt_xml.documents import domain_name, split_domains

LENGTH = 100_000
MARKS = ("<domain>", "<domain ", "</domain>", "<!--", "-->", "<![CDATA[", "]]>", "<name>", "<?")
WORDS = (
    "\n",
    " ",
    "apiVersion: x\n",
    "apiVersion:",
    "Vagrant",
    "kvm",
    "qemu-system-a",
    "net1",
    "{",
)


@pytest.mark.parametrize("first", ["", "<domain>"])
@pytest.mark.parametrize("mark", MARKS + WORDS)
def test_reading_takes_no_longer_than_the_text_is_long(first: str, mark: str) -> None:
    begun = time.process_time()
    for other in ("", "x", "<!--", "</domain>", "\n"):
        text = first + (mark + other) * (LENGTH // len(mark + other))
        with pytest.raises(InvalidArgument):
            read_domain(text)
        split_domains(text)
        domain_name(text)
    assert time.process_time() - begun < 3, "some 0.1 s; it was half an hour"


def test_several_domains_are_split_among_comments() -> None:
    one, other = "<domain><name>a</name></domain>", "<domain id='1'>\n<name> b </name></domain >"
    comment = "<!-- <domain></domain> -->"
    text = f"<?xml version='1.0'?>\n{comment}{one}\n{comment}{other}\n"
    assert split_domains(text) == (one, other)
    assert [domain_name(each) for each in split_domains(text)] == ["a", "b"]
    assert split_domains(f"<all>{one}{other}</all>") == (f"<all>{one}{other}</all>",)
    for mark, unclosed in product(("<!--", "<domain>"), (one, one + other)):
        assert "".join(split_domains(unclosed + mark)) in (unclosed + mark, unclosed)
